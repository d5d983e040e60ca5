"""The five tiles and the funnel: what a scope cost and brought, and how that moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.api.contract import ScoreMoment
from advisor.assessment import Assessment, CostLine
from advisor.pages import numbers
from advisor.pages.figure import Figure, Moved, figure, moved, range_words
from advisor.pages.marks import Spark, score_text, spark
from advisor.pages.scope import Scope, cost_in, instances_in
from advisor.pages.trend import Steps, gpu_hours, joules_change, steps, usd_change, volume_change
from advisor.score.result import Scorecard
from advisor.summary import InstanceHours

SPARK_STEPS = 28


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the five: a figure with its change and its sparkline."""

    label: str
    figure: Figure
    moved: Moved
    spark: Spark | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One bar of the funnel: `share` of all GPU-hours; `sort` shows where the rest went."""

    label: str
    brief: str
    hours: Figure
    usd: Figure
    share: float | None
    sort: str


@dataclass(frozen=True, slots=True)
class Before:
    """What was before: hours of the preceding range and the fleet's score history."""

    hours: InstanceHours | None
    scores: Sequence[ScoreMoment]


def prices(assessment: Assessment) -> dict[str, float]:
    """Dollars an observed GPU-hour of each instance with a price; they sum to its cost line."""
    hours = assessment.fleet.instance_hours
    ids, index = np.unique(hours.instance_id, return_inverse=True)
    observed = np.bincount(index, weights=np.nan_to_num(gpu_hours(hours)), minlength=ids.size)
    held = dict(zip(ids.tolist(), observed.tolist(), strict=True))
    return {
        line.id: line.cost_usd / held[line.id]
        for line in assessment.costs
        if line.kind == "instance" and line.cost_usd is not None and held.get(line.id)
    }


def tiles(assessment: Assessment, before: Before, scope: Scope) -> tuple[Tile, ...]:
    """Spend, $/1M, J/token, tokens and score of a scope; none where it has no cost line."""
    cost = cost_in(assessment, scope)
    if cost is None:
        return ()
    kept = None if scope.is_whole else frozenset(i.id for i in instances_in(assessment, scope))
    hours = assessment.fleet.instance_hours
    span = (assessment.fleet.start, assessment.fleet.end)
    course = steps(hours, prices(assessment), span=span, count=SPARK_STEPS, instances=kept)
    earlier = before.hours if scope.is_whole else None
    matched = "at matched load"
    href = "/api/v1/costs?kind=fleet" if scope.is_whole else "/api/v1/costs?kind=instance"
    words_ = range_words(assessment)
    return (
        _spend_tile(cost, course, words_, href),
        Tile(
            "$/1M output tokens",
            figure(cost.usd_per_million_output_tokens, numbers.usd, "USD", href),
            moved(usd_change(hours, earlier) if earlier else None, matched, lower_is_better=True),
            spark(course.usd_per_million, f"$ per 1M output tokens over {words_}"),
        ),
        Tile(
            "J/output token",
            figure(cost.joules_per_output_token_gpu, numbers.significant, "J/token, GPUs", href),
            moved(
                joules_change(hours, earlier) if earlier else None, matched, lower_is_better=True
            ),
            spark(course.joules_per_token, f"J per output token over {words_}"),
        ),
        Tile(
            "Output tokens",
            figure(cost.output_tokens, numbers.scaled, "tokens", href),
            moved(volume_change(hours, earlier) if earlier else None, f"on the {words_} before"),
            spark(course.tokens, f"output tokens over {words_}"),
        ),
        _score_tile(assessment, before.scores),
    )


def _spend_tile(cost: CostLine, course: Steps, words_: str, href: str) -> Tile:
    idle = "idle share unknown"
    if cost.idle_cost_usd is not None and cost.cost_usd:
        share = numbers.percent(cost.idle_cost_usd / cost.cost_usd)
        idle = f"{numbers.usd(cost.idle_cost_usd)} of it idle ({share})"
    return Tile(
        f"Spend in {words_}",
        figure(cost.cost_usd, numbers.usd, "USD", href),
        Moved(idle, numbers.exact(cost.idle_cost_usd, "USD idle")),
        spark(course.usd, f"spend over {words_}"),
    )


def _score_tile(assessment: Assessment, history: Sequence[ScoreMoment]) -> Tile:
    card = next((c for c in assessment.scorecards if c.kind == "fleet"), None)
    series = [moment.low for moment in history]
    return Tile(
        "Score",
        Figure(
            score_text(card.total if card else None),
            f"{card.total.low:.6g} to {card.total.high:.6g} of 100" if card else "no data",
            "/api/v1/scores?kind=fleet",
            card.total.low if card else None,
        ),
        score_moved(assessment, card, history),
        spark(series, "score at each assessment"),
    )


def score_moved(
    assessment: Assessment, card: Scorecard | None, history: Sequence[ScoreMoment]
) -> Moved:
    """The score against the one a range ago; a version change is no trend."""
    length = assessment.fleet.end - assessment.fleet.start
    then = [m for m in history if m.made_at <= assessment.made_at - length * 0.9]
    if card is None or not then:
        return Moved("no earlier score", "scores are kept from the first assessment on")
    if then[-1].version != card.version:
        return Moved("scoring changed since", f"version {then[-1].version} to {card.version}")
    points = card.total.low - then[-1].low
    sign = "+" if points >= 0 else numbers.MINUS
    tone = "" if abs(points) < 0.5 else ("better" if points > 0 else "worse")
    since = numbers.moment(then[-1].made_at)
    return Moved(
        f"{sign}{abs(points):.0f} points since {since[:10]}", f"{points:+.6g} since {since}", tone
    )


STAGES = (
    ("Total", "GPU-hours of every GPU seen", "", "cost"),
    ("Allocated", "a serving process holds the GPU", "allocated_", "cost"),
    ("Active", "requests were running", "active_", "idle"),
    ("Effective", "active, at the attainable rate", "effective_", "to_win"),
)
"""Each stage with the prefix of its fields in a cost line, and the order that shows its rest."""


def funnel(assessment: Assessment, scope: Scope) -> tuple[Stage, ...]:
    """GPU-hours and dollars of a scope, from its cost line."""
    cost = cost_in(assessment, scope)
    if cost is None:
        return ()
    href = f"/api/v1/costs?kind={'fleet' if scope.is_whole else 'instance'}"
    return tuple(
        Stage(
            label,
            brief,
            figure(getattr(cost, f"{stage}gpu_hours"), numbers.significant, "GPU-hours", href),
            figure(getattr(cost, f"{stage}cost_usd"), numbers.usd, "USD", href),
            _share(getattr(cost, f"{stage}gpu_hours"), cost.gpu_hours),
            sort,
        )
        for label, brief, stage, sort in STAGES
    )


def losses(stages: Sequence[Stage]) -> str:
    """Where the dollars of the funnel go, in one sentence; empty where they are not known."""
    usd = [stage.usd.value for stage in stages]
    if len(usd) < 4 or None in usd:
        return ""
    total, allocated, active, effective = (value or 0.0 for value in usd)
    parts = (
        (total - allocated, "to GPUs that nothing holds"),
        (allocated - active, "to GPUs held while no request ran"),
        (active - effective, "to running below the attainable"),
    )
    said = [f"{numbers.usd(lost)} went {where}" for lost, where in parts if lost >= 1]
    return f"{', '.join(said)}." if said else ""


def _share(part: float | None, whole: float) -> float | None:
    return part / whole if part is not None and whole else None
