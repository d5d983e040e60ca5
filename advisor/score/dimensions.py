"""Indicators make dimensions, dimensions a total, members a node, deployment or fleet.

Missing indicators count 0 in `low` and 100 in `high`. A dimension is at most its worst critical
indicator plus a margin, so that many small virtues never hide one large fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from advisor.score.result import DIMENSIONS, Indicator, Score, Scorecard
from advisor.score.scoring import SCORING, Scoring


def dimension_score(indicators: Sequence[Indicator], scoring: Scoring = SCORING) -> Score:
    """The score of one dimension's indicators; 0 to 100 where there are none."""
    if not indicators:
        return Score(0.0, 100.0)
    return Score(_bounded(indicators, 0.0, scoring), _bounded(indicators, 100.0, scoring))


def _bounded(indicators: Sequence[Indicator], missing: float, scoring: Scoring) -> float:
    weights = [scoring.indicators[one.id].weight for one in indicators]
    points = [missing if one.points is None else one.points for one in indicators]
    mean = sum(w * p for w, p in zip(weights, points, strict=True)) / sum(weights)
    critical = [p for one, p in zip(indicators, points, strict=True) if one.critical]
    return min([mean, *(p + scoring.critical_margin for p in critical)])


def scorecard(
    kind: str, target_id: str, indicators: Sequence[Indicator], scoring: Scoring = SCORING
) -> Scorecard:
    """The scores of one target from its own indicators."""
    dimensions = {
        name: dimension_score([one for one in indicators if one.dimension == name], scoring)
        for name in DIMENSIONS
    }
    return Scorecard(
        kind, target_id, _total(dimensions, scoring), dimensions, tuple(indicators), scoring.version
    )


def _total(dimensions: dict[str, Score], scoring: Scoring) -> Score:
    whole = sum(scoring.dimensions.values())
    low = sum(scoring.dimensions[name] * score.low for name, score in dimensions.items())
    high = sum(scoring.dimensions[name] * score.high for name, score in dimensions.items())
    return Score(low / whole, high / whole)


def combine(
    kind: str,
    target_id: str,
    members: Sequence[tuple[float, Scorecard]],
    scoring: Scoring = SCORING,
) -> Scorecard:
    """The scores of several targets as one: means weighted by GPUs; indicators show the worst."""
    whole = sum(weight for weight, _ in members)
    dimensions = {
        name: _mean([(w, c.dimensions[name]) for w, c in members], whole) for name in DIMENSIONS
    }
    return Scorecard(
        kind,
        target_id,
        _total(dimensions, scoring),
        dimensions,
        _worst(card for _, card in members),
        scoring.version,
    )


def _mean(scores: Iterable[tuple[float, Score]], whole: float) -> Score:
    rows = list(scores)
    return Score(
        sum(weight * score.low for weight, score in rows) / whole,
        sum(weight * score.high for weight, score in rows) / whole,
    )


def _worst(cards: Iterable[Scorecard]) -> tuple[Indicator, ...]:
    """Of each indicator the member with the fewest points, named in its reason."""
    found: dict[str, Indicator] = {}
    for card in cards:
        for one in card.indicators:
            points = -1.0 if one.points is None else one.points
            held = found.get(one.id)
            if held is None or points < (-1.0 if held.points is None else held.points):
                found[one.id] = replace(one, reason=f"{card.id}: {one.reason}")
    return tuple(found.values())
