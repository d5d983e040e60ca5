"""The fit against measured sweeps it never saw; needs the folder of benchmark rows."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from itertools import combinations, product
from pathlib import Path
from statistics import mean, median

import pytest

from advisor.performance.calibrate import held_out, usable
from advisor.performance.configuration import Observed
from advisor.performance.effect import Performance
from advisor.performance.fit import load as load_fit
from advisor.performance.measurements import Row, read
from advisor.performance.predict import change

FOLDER = Path(os.environ.get("JOULEWISE_BENCHMARKS", "../shared/data/benchmarks"))
FIT = load_fit()
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"data: no folder of benchmark rows at {FOLDER}"
)
Pairs = list[tuple[Row, Row]]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [row for row in usable(read(FOLDER)) if row.sweep in held_out()]


def predicted(before: Row, after: Row) -> Performance:
    observed = Observed(before.output_tokens_per_s, before.tpot_s, before.ttft_s, before.power_w)
    return change(before.configuration, before.load, after.configuration, after.load, observed, FIT)


def per_gpu(row: Row) -> float:
    return row.output_tokens_per_s / row.configuration.gpus


def joules(row: Row) -> float:
    assert row.power_w is not None
    return row.power_w / per_gpu(row)


def same_setup(rows: list[Row], sweep: str, weights: str) -> dict[object, list[Row]]:
    found: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        c = row.configuration
        if row.sweep == sweep and c.weights == weights:
            layout = c.tensor_parallel, c.data_parallel, c.expert_parallel, c.engine_version
            found[row.source, row.load.input_tokens, *layout].append(row)
    return found


def batch_pairs(rows: list[Row], sweep: str, weights: str) -> Pairs:
    pairs = []
    for members in same_setup(rows, sweep, weights).values():
        ordered = sorted(members, key=lambda row: row.running)
        pairs += [
            (one, other)
            for one, other in combinations(ordered, 2)
            if other.running > 1.5 * one.running
            and abs(math.log(one.load.output_tokens / other.load.output_tokens)) < 0.3
        ]
    return pairs


def precision_pairs(rows: list[Row], sweep: str, wide: str, narrow: str) -> Pairs:
    before, after = same_setup(rows, sweep, wide), same_setup(rows, sweep, narrow)
    return [
        (one, other)
        for key in before.keys() & after.keys()
        for one, other in product(before[key], after[key])
        if round(one.running) == round(other.running)
        and abs(math.log(one.load.output_tokens / other.load.output_tokens)) < 0.3
    ]


def test_a_larger_batch_on_h100_llama_70b_is_priced_within_its_interval(rows: list[Row]) -> None:
    pairs = batch_pairs(rows, "h100|4|llama-70b|vllm", "bf16")
    assert len(pairs) > 20
    for before, after in pairs:
        found = predicted(before, after)
        rate, energy = found.output_tokens_per_s, found.joules_per_output_token_gpu
        assert rate.low <= after.output_tokens_per_s <= rate.high
        assert energy.low <= joules(after) <= energy.high
        assert rate.expected > before.output_tokens_per_s
        assert energy.expected < joules(before)


def test_nvfp4_on_b200_deepseek_is_priced_within_its_interval(rows: list[Row]) -> None:
    pairs = precision_pairs(rows, "b200|8|deepseek-r1|trtllm", "fp8", "nvfp4")
    assert len(pairs) > 30
    gains, guesses, inside = [], [], []
    for before, after in pairs:
        rate = predicted(before, after).output_tokens_per_s
        gains.append(after.output_tokens_per_s / before.output_tokens_per_s)
        guesses.append(rate.expected / before.output_tokens_per_s)
        inside.append(rate.low <= after.output_tokens_per_s <= rate.high)
    assert median(guesses) == pytest.approx(median(gains), rel=0.12)
    assert mean(inside) > 0.8
    assert all((gain > 1) == (guess > 1) for gain, guess in zip(gains, guesses, strict=True))


def test_halving_gpus_of_gpt_oss_goes_the_measured_way_at_every_load(rows: list[Row]) -> None:
    wide = [r for r in rows if r.sweep == "b200|2|gpt-oss-120b|vllm" and r.power_w]
    narrow = [r for r in rows if r.sweep == "b200|1|gpt-oss-120b|vllm" and r.power_w]
    pairs = [p for p in product(wide, narrow) if 1.95 < p[0].running / p[1].running < 2.05]
    assert len(pairs) > 6
    for before, after in pairs:
        found = predicted(before, after)
        rate, energy = found.output_tokens_per_s, found.joules_per_output_token_gpu
        assert rate.low <= after.output_tokens_per_s <= rate.high
        assert energy.low <= joules(after) <= energy.high
    busiest = max(pairs, key=lambda pair: pair[0].running)
    assert per_gpu(busiest[1]) > 1.4 * per_gpu(busiest[0])
    assert predicted(*busiest).output_tokens_per_s.low > 0.5 * busiest[0].output_tokens_per_s


def test_fp8_on_a_mixture_is_never_promised_where_it_lost(rows: list[Row]) -> None:
    pairs = precision_pairs(rows, "h100|8|qwen3-235b-a22b|vllm", "bf16", "fp8")
    lost = [p for p in pairs if p[1].output_tokens_per_s < p[0].output_tokens_per_s]
    assert len(lost) >= 3
    for before, after in lost:
        assert predicted(before, after).output_tokens_per_s.low < before.output_tokens_per_s


def test_nine_in_ten_changes_of_batch_go_the_measured_way_within_the_interval(
    rows: list[Row],
) -> None:
    inside, sign = [], []
    for sweep in sorted(held_out()):
        for weights in ("bf16", "fp8", "nvfp4", "mxfp4"):
            for before, after in batch_pairs(rows, sweep, weights):
                rate = predicted(before, after).output_tokens_per_s
                measured = after.output_tokens_per_s
                inside.append(rate.low <= measured <= rate.high)
                sign.append(
                    (measured > before.output_tokens_per_s)
                    == (rate.expected > before.output_tokens_per_s)
                )
    assert len(inside) > 500
    assert mean(sign) > 0.95
    assert mean(inside) > 0.8
