"""Scores: bounds, absence, and waste that never scores better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.assess import AssessSettings, assess
from advisor.score.dimensions import combine, scorecard
from advisor.score.indicators import INDICATORS
from advisor.score.reference import document
from advisor.score.result import DIMENSIONS, Indicator
from advisor.score.scoring import SCORING

points = st.one_of(st.none(), st.floats(0, 100))


def indicator(name: str, score: float | None) -> Indicator:
    return Indicator(
        id=name,
        dimension=name.partition(".")[0],
        title="",
        value=score,
        unit="1",
        points=score,
        attainable=None,
        reason="",
        remedy="",
        source="",
        critical=SCORING.indicators[name].critical,
    )


cards = st.fixed_dictionaries(dict.fromkeys(SCORING.indicators, points)).map(
    lambda found: [indicator(name, score) for name, score in found.items()]
)


@given(found=cards)
def test_scores_lie_between_0_and_100_and_low_is_not_above_high(found):
    card = scorecard("instance", "i", found)
    for score in (card.total, *card.dimensions.values()):
        assert 0 <= score.low <= score.high + 1e-9
        assert score.high <= 100


@given(found=cards, at=st.integers(0, len(SCORING.indicators) - 1))
def test_losing_an_indicator_never_raises_low_nor_lowers_high(found, at):
    less = [
        replace(one, points=None, value=None) if i == at else one for i, one in enumerate(found)
    ]
    before, after = scorecard("instance", "i", found), scorecard("instance", "i", less)
    for name in DIMENSIONS:
        assert after.dimensions[name].low <= before.dimensions[name].low + 1e-9
        assert after.dimensions[name].high >= before.dimensions[name].high - 1e-9


@given(found=cards, at=st.integers(0, len(SCORING.indicators) - 1), lost=st.floats(0, 100))
def test_fewer_points_never_score_better(found, at, lost):
    worse = [
        replace(one, points=max(one.points - lost, 0.0)) if i == at and one.points else one
        for i, one in enumerate(found)
    ]
    assert scorecard("i", "i", worse).total.low <= scorecard("i", "i", found).total.low + 1e-9


@given(found=cards)
def test_a_dimension_is_at_most_its_worst_critical_indicator_and_the_margin(found):
    card = scorecard("instance", "i", found)
    for one in found:
        if one.critical and one.points is not None:
            limit = one.points + SCORING.critical_margin
            assert card.dimensions[one.dimension].high <= limit + 1e-9


@given(first=cards, second=cards, weight=st.floats(1, 64))
def test_a_whole_lies_between_its_parts(first, second, weight):
    one, two = scorecard("instance", "a", first), scorecard("instance", "b", second)
    both = combine("node", "n", [(weight, one), (1.0, two)])
    lows = (one.total.low, two.total.low)
    assert min(lows) - 1e-9 <= both.total.low <= max(lows) + 1e-9


def test_every_indicator_is_weighed_and_every_weight_has_its_indicator(story_assessment):
    shown = {i.id for card in story_assessment.scorecards for i in card.indicators}
    assert shown == set(SCORING.indicators)
    assert len(INDICATORS) == len(SCORING.indicators)


def test_every_dimension_has_at_least_two_indicators():
    for name in DIMENSIONS:
        assert sum(i.startswith(f"{name}.") for i in SCORING.indicators) >= 2


def test_every_indicator_says_why_and_what_would_help(story_assessment):
    for card in story_assessment.scorecards:
        for one in card.indicators:
            assert one.reason
            assert one.remedy
            assert one.source


def total(fleet, target="i"):
    found = assess(fleet, AssessSettings(), now=fleet.end)
    return next(c.total for c in found.scorecards if c.kind == "instance" and c.id == target)


@pytest.mark.parametrize(
    "worse",
    [
        {"power_w": 900.0},
        {"busy_hours": tuple(range(60))},
        {"saturated": 0.6, "waiting": 80.0},
        {"tpot_s": 0.08},
        {"gpu_columns": {"throttle_thermal_s": 900.0}},
        {"gpu_columns": {"xid_errors": 1.0}},
        {"columns": {"preemptions": 400.0}},
        {"columns": {"kv_used_max": 1.0}},
        {"driver": "535.288.01"},
        {"engine_version": "0.20.0"},
        {"weights": "bf16", "tokens_per_s": 800.0},
    ],
)
def test_more_waste_never_scores_better(fleet_builder, worse):
    good = {"weights": "fp8", "model": "meta-llama/Llama-3.1-70B-Instruct", "tokens_per_s": 1500.0}
    before = total(fleet_builder.build([fleet_builder.Serving("i", "h", **good)]))
    after = total(fleet_builder.build([fleet_builder.Serving("i", "h", **good | worse)]))
    assert after.low <= before.low + 1e-6


telemetry = st.sampled_from(
    [
        ("instance", name)
        for name in (
            ["waiting_time_s"],
            ["saturated_sequences_s", "saturated_kv_cache_s", "saturated_unknown_s"],
            ["kv_used_max"],
            ["preemptions"],
            ["gpu_energy_j"],
            ["running_time_s"],
            ["output_tokens"],
            ["requests"],
            ["gpu_count"],
        )
    ]
    + [
        ("gpu", [name])
        for name in ("energy_j", "throttle_power_s", "xid_errors", "power_observed_s")
    ]
)


@settings(max_examples=14, deadline=None)
@given(lost=telemetry)
def test_telemetry_that_goes_missing_never_raises_low(fleet_builder, lost):
    kind, names = lost
    fleet = fleet_builder.build(
        [fleet_builder.Serving("i", "h", saturated=0.5, waiting=30.0, running=60.0)], hours=48
    )
    dark = fleet_builder.without(fleet, **{kind: names})
    assert total(dark).low <= total(fleet).low + 1e-6


def test_the_reference_of_scores_is_what_the_code_says():
    docs = Path(__file__).parents[2] / "docs" / "scores.md"
    assert docs.read_text(encoding="utf-8") == document(), "write it anew from document()"
