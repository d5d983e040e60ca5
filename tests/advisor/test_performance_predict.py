"""Predictions: intervals hold their expected values, changes go the way measurements went."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.catalog.gpus import GPUS
from advisor.catalog.models import MODELS
from advisor.performance.configuration import Configuration, Load, Observed
from advisor.performance.demand import concurrency_at
from advisor.performance.effect import QUANTITIES, Evidence, Interval, Performance
from advisor.performance.fit import load as load_fit
from advisor.performance.predict import change, predict

FIT = load_fit()
LLAMA = Configuration(
    GPUS["h100"],
    4,
    MODELS["llama-70b"],
    "vllm",
    "bf16",
    tensor_parallel=4,
    max_sequences=32,
    engine_version="0.11.1",
)
DEEPSEEK = Configuration(GPUS["b200"], 8, MODELS["deepseek-r1"], "trtllm", "fp8", tensor_parallel=8)
GPT_OSS = Configuration(
    GPUS["b200"],
    2,
    MODELS["gpt-oss-120b"],
    "vllm",
    "mxfp4",
    tensor_parallel=2,
    engine_version="0.11.1",
)
OBSERVED = Observed(output_tokens_per_s=1000.0, tpot_s=0.03, ttft_s=0.5, power_w=450.0)


def intervals(performance: Performance) -> list[Interval]:
    found = [getattr(performance, name) for name in QUANTITIES]
    return [interval for interval in found if interval is not None]


@given(
    st.sampled_from([LLAMA, DEEPSEEK, GPT_OSS]),
    st.floats(0.1, 5000),
    st.floats(1, 20_000),
    st.floats(1, 8000),
    st.floats(0, 0.95),
)
def test_an_interval_holds_its_expected_value(
    c: Configuration, concurrency: float, prompt: float, answer: float, hits: float
) -> None:
    asked = Load(concurrency, prompt, answer, hits)
    proposed = replace(c, max_sequences=512)
    for performance in (
        predict(c, asked, FIT, usd_per_gpu_hour=2.0),
        change(c, asked, proposed, asked, OBSERVED, FIT, usd_per_gpu_hour=2.0),
    ):
        for interval in intervals(performance):
            assert 0 < interval.low <= interval.expected <= interval.high < math.inf


def test_joules_and_dollars_follow_from_watts_and_tokens() -> None:
    found = predict(LLAMA, Load(32, 300, 600), FIT, usd_per_gpu_hour=3.0)
    rate = found.output_tokens_per_s.expected
    joules = 4 * found.power_w.expected / rate
    assert found.joules_per_output_token_gpu.expected == pytest.approx(joules)
    assert found.usd_per_million_output_tokens is not None
    assert found.usd_per_million_output_tokens.expected == pytest.approx(4 * 3 / 3600 / rate * 1e6)


def test_without_a_price_there_are_no_dollars() -> None:
    found = predict(LLAMA, Load(32, 300, 600), FIT)
    assert found.usd_per_million_output_tokens is None


def test_nothing_changed_predicts_what_was_measured() -> None:
    asked = Load(24, 300, 600)
    found = change(LLAMA, asked, LLAMA, asked, OBSERVED, FIT)
    assert found.basis == "observed"
    assert found.output_tokens_per_s.expected == pytest.approx(1000)
    assert found.power_w.expected == pytest.approx(450)
    assert found.ttft_s is not None
    assert found.ttft_s.expected == pytest.approx(0.5)


def test_a_higher_batch_limit_brings_tokens_and_saves_joules_where_requests_wait() -> None:
    asked = Load(140, 300, 600)
    found = change(LLAMA, asked, replace(LLAMA, max_sequences=128), asked, OBSERVED, FIT)
    assert found.output_tokens_per_s.low > 1000
    assert found.joules_per_output_token_gpu.high < 4 * 450 / 1000


def test_a_higher_batch_limit_brings_nothing_where_nothing_waits() -> None:
    asked = Load(16, 300, 600)
    found = change(LLAMA, asked, replace(LLAMA, max_sequences=128), asked, OBSERVED, FIT)
    assert found.output_tokens_per_s.expected == pytest.approx(1000)


def test_fp8_speeds_up_a_dense_model() -> None:
    asked = Load(32, 300, 600)
    found = change(LLAMA, asked, replace(LLAMA, weights="fp8"), asked, OBSERVED, FIT)
    assert 1.1 < found.output_tokens_per_s.expected / 1000 < 2.2


@pytest.mark.parametrize("concurrency", [4, 32, 128, 256])
def test_nvfp4_on_b200_brings_deepseek_what_is_measured_never_twice(concurrency: int) -> None:
    asked = Load(concurrency, 1024, 1024)
    found = change(DEEPSEEK, asked, replace(DEEPSEEK, weights="nvfp4"), asked, OBSERVED, FIT)
    assert 1.2 < found.output_tokens_per_s.expected / 1000 < 1.65


def test_half_the_gpus_serve_a_saturated_batch_with_fewer_joules() -> None:
    one = replace(GPT_OSS, gpus=1, tensor_parallel=1)
    found = change(GPT_OSS, Load(2048, 300, 2000), one, Load(1024, 300, 2000), OBSERVED, FIT)
    assert found.output_tokens_per_s.expected > 0.5 * 1000
    assert found.joules_per_output_token_gpu.expected < 2 * 450 / 1000


def test_fp8_on_a_mixture_may_lose_at_a_small_batch() -> None:
    c = Configuration(
        GPUS["h100"],
        8,
        MODELS["qwen3-235b-a22b"],
        "vllm",
        "bf16",
        tensor_parallel=8,
        expert_parallel=8,
        engine_version="0.11.1",
    )
    asked = Load(8, 300, 900)
    found = change(c, asked, replace(c, weights="fp8"), asked, OBSERVED, FIT)
    assert found.output_tokens_per_s.low < 1000


def test_evidence_is_interpolated_only_where_rows_are() -> None:
    asked = Load(32, 300, 600)
    assert predict(LLAMA, asked, FIT).output_tokens_per_s.evidence is Evidence.INTERPOLATED
    elsewhere = replace(LLAMA, gpu=GPUS["l4"])
    assert predict(elsewhere, asked, FIT).output_tokens_per_s.evidence is Evidence.EXTRAPOLATED
    beyond = replace(LLAMA, max_sequences=None)
    huge = predict(beyond, Load(1000, 20, 20), FIT)
    assert huge.output_tokens_per_s.evidence is Evidence.INTERPOLATED
    tiny = predict(LLAMA, Load(1, 300, 600), FIT)
    assert tiny.output_tokens_per_s.evidence is Evidence.EXTRAPOLATED


def test_watts_are_interpolated_only_where_they_were_measured() -> None:
    asked = Load(32, 300, 600)
    assert predict(LLAMA, asked, FIT).power_w.evidence is Evidence.INTERPOLATED
    found = predict(DEEPSEEK, asked, FIT)
    assert found.power_w.evidence is Evidence.EXTRAPOLATED
    assert found.joules_per_output_token_gpu.evidence is Evidence.EXTRAPOLATED


def test_what_was_not_measured_is_predicted_cold_and_said() -> None:
    asked = Load(24, 300, 600)
    found = change(LLAMA, asked, LLAMA, asked, Observed(1000.0, 0.03), FIT)
    assert any("power_w" in note for note in found.notes)
    assert any("ttft_s" in note for note in found.notes)


def test_what_does_not_fit_says_so() -> None:
    found = predict(replace(LLAMA, gpus=1, tensor_parallel=1), Load(4, 300, 600), FIT)
    assert not found.fits
    assert found.notes


def test_the_bottleneck_is_a_queue_where_the_limit_holds_requests() -> None:
    assert predict(LLAMA, Load(100, 300, 600), FIT).bottleneck == "queue"
    long = replace(LLAMA, max_sequences=1024)
    assert predict(long, Load(900, 20_000, 2000), FIT).bottleneck == "kv_capacity"


def test_a_rate_finds_the_concurrency_that_serves_it() -> None:
    asked = Load(16, 300, 600)
    rate = predict(LLAMA, asked, FIT).output_tokens_per_s.expected / 600
    assert concurrency_at(LLAMA, rate, asked, FIT) == pytest.approx(16, rel=1e-3)
    assert concurrency_at(LLAMA, 100 * rate, asked, FIT) is None
    assert concurrency_at(LLAMA, 0.0, asked, FIT) == 0


def test_a_thousand_predictions_take_less_than_a_second_of_processor() -> None:
    asked = Load(64, 1024, 1024)
    began = time.process_time()
    for _ in range(200):
        predict(DEEPSEEK, asked, FIT)
    assert time.process_time() - began < 0.2
