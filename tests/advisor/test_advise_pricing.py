"""What candidates are worth: arithmetic of intervals, and gains at matched demand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.advise.intervals import deviation, exactly, moved, pooled, quotient, total
from advisor.assess import AssessSettings, assess
from advisor.performance.effect import Evidence, Interval

positive = st.floats(0.01, 100.0)
intervals = st.tuples(positive, positive, positive).map(
    lambda three: Interval(*sorted(three), Evidence.INTERPOLATED)
)


@given(one=intervals, two=intervals)
def test_a_quotient_holds_its_expected_value_and_is_no_narrower_than_its_parts(one, two):
    ratio = quotient(one, two)
    assert ratio.low <= ratio.expected <= ratio.high
    assert ratio.expected == pytest.approx(one.expected / two.expected)
    width = math.log(ratio.high / ratio.low)
    assert width >= max(math.log(i.high / i.low) for i in (one, two)) / math.sqrt(2) - 1e-9


@given(one=intervals)
def test_a_falling_function_turns_an_interval_around(one):
    turned = moved(one, lambda value: 1 / value)
    assert turned.low == pytest.approx(1 / one.high)
    assert turned.high == pytest.approx(1 / one.low)


def test_two_estimates_agree_nearer_to_the_firmer_one():
    both = pooled([(2.0, 0.3), (1.3, 0.1)], Evidence.INTERPOLATED)
    assert 1.3 < both.expected < 1.45
    assert deviation(both.low, both.high) < 0.1


def test_the_evidence_of_a_sum_is_its_weakest():
    parts = [exactly(1.0, Evidence.MEASURED), exactly(2.0, Evidence.ASSUMED)]
    assert total(parts) == Interval(3.0, 3.0, 3.0, Evidence.ASSUMED)


def told(fleet):
    return assess(fleet, AssessSettings(), now=fleet.end).recommendations


LLAMA = {
    "product": "h100",
    "gpus": 4,
    "tensor": 4,
    "model": "meta-llama/Llama-3.3-70B-Instruct",
    "weights": "bf16",
    "max_sequences": 32,
    "tokens_per_s": 1517.65,
    "running": 31.5,
    "tpot_s": 0.0199,
    "power_w": 473.9,
    "input_tokens": 300.0,
    "output_tokens": 413.0,
}


def rows(one):
    return {row.quantity: row for row in one.effects}


def test_a_queue_that_lasts_half_the_time_is_worth_half_as_much(fleet_builder):
    def saving(share: float) -> float:
        queue = {"waiting": 60.0 * share, "saturated": share}
        fleet = fleet_builder.build([fleet_builder.Serving("a:1", "h", **LLAMA | queue)])
        return next(r for r in told(fleet) if r.lever == "batch").cost_usd_per_month.expected

    assert saving(0.45) == pytest.approx(saving(0.9) / 2, rel=0.02)


def test_without_a_queue_a_leaner_precision_is_stated_at_the_same_requests_in_flight(
    story_assessment,
):
    one = next(r for r in story_assessment.recommendations if "nvfp4" in r.rule_id)
    table = rows(one)
    tokens, usd = table["output_tokens_per_s"], table["usd_per_million_output_tokens"]
    assert tokens.predicted.low > tokens.now
    assert table["tpot_s"].predicted.expected < table["tpot_s"].now
    dearer = usd.now / usd.predicted.expected
    assert dearer == pytest.approx(tokens.predicted.expected / tokens.now, rel=0.02)
    assert "arrivals" in one.assumptions["demand"]


def test_the_monthly_saving_is_the_saving_a_token_times_the_tokens_that_use_it(story_assessment):
    for one in story_assessment.recommendations:
        table = rows(one)
        if "usd_per_million_output_tokens" not in table:
            continue
        usd = table["usd_per_million_output_tokens"]
        tokens = table["output_tokens_per_s"].now * 730 * 3600
        saved = (usd.predicted.expected - usd.now) * tokens / 1e6
        frees = "free" in one.assumptions["demand"]
        used = one.figures["load_factor"] if frees else 1.0
        assert one.cost_usd_per_month.expected == pytest.approx(saved * used, rel=0.01)


def test_releasing_gpus_saves_exactly_what_they_cost(story_assessment):
    one = next(r for r in story_assessment.recommendations if r.lever == "parallelism")
    usd = one.cost_usd_per_month
    assert usd.low == usd.high == pytest.approx(-4 * 6.345 * 730)


def test_consolidation_saves_between_its_idle_hours_and_all_of_them(story_assessment):
    one = next(r for r in story_assessment.recommendations if r.lever == "consolidation")
    month = 8 * 3.99 * 730
    assert one.cost_usd_per_month.low == pytest.approx(-month)
    assert one.cost_usd_per_month.high == pytest.approx(-month * (1 - 5 / 168))


def test_published_pairs_narrow_what_the_model_predicts(story_assessment):
    one = next(r for r in story_assessment.recommendations if "nvfp4" in r.rule_id)
    assert "70 measured pairs" in one.assumptions["tokens/s"]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_the_change_is_written_in_the_flags_of_the_engine(fleet_builder, engine):
    queue = {"waiting": 60.0, "saturated": 0.9, "engine": engine, "engine_version": "9.9"}
    fleet = fleet_builder.build([fleet_builder.Serving("a:1", "h", **LLAMA | queue)])
    one = next(r for r in told(fleet) if r.lever == "batch")
    flags = {
        "vllm": "--max-num-seqs",
        "sglang": "--max-running-requests",
        "tensorrt-llm": "--max_batch_size",
    }
    assert one.change[0].key == flags[engine]


def test_an_engine_without_a_table_is_dropped_with_its_reason(fleet_builder):
    queue = {"waiting": 60.0, "saturated": 0.9, "engine": "homemade"}
    fleet = fleet_builder.build([fleet_builder.Serving("a:1", "h", **LLAMA | queue)])
    found = assess(fleet, AssessSettings(), now=fleet.end)
    assert not found.recommendations
    why = [n.reason for n in found.not_fired if n.rule_id == "batch.raise_limit"]
    assert "no flags known of engine 'homemade'" in why[0]


def test_a_batch_is_not_raised_beyond_the_latency_limit(fleet_builder):
    deployment = fleet_builder.Deployment("a", ("a:1",), None, tpot_p95_s=0.0265, ttft_p95_s=9.0)
    queue = {"waiting": 400.0, "saturated": 0.9}
    fleet = fleet_builder.build(
        [fleet_builder.Serving("a:1", "h", **LLAMA | queue)], deployments=[deployment]
    )
    found = assess(fleet, AssessSettings(), now=fleet.end)
    batch = [r for r in found.recommendations if r.lever == "batch"]
    if batch:
        assert any("TPOT p95 would be" in c.reason for c in batch[0].considered)
    else:
        why = [n.reason for n in found.not_fired if n.rule_id == "batch.raise_limit"]
        assert "TPOT p95 would be" in why[0]


def test_a_batch_is_not_raised_beyond_memory(fleet_builder):
    long = {"waiting": 900.0, "saturated": 0.9, "input_tokens": 6000.0, "output_tokens": 2000.0}
    fleet = fleet_builder.build([fleet_builder.Serving("a:1", "h", **LLAMA | long)])
    found = assess(fleet, AssessSettings(), now=fleet.end)
    said = [c.reason for r in found.recommendations for c in r.considered]
    said += [n.reason for n in found.not_fired]
    assert any("memory holds" in reason for reason in said)
