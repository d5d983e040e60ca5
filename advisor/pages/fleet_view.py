"""The fleet page as values: quality line, tiles, funnel, what to do and the table of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from advisor.api.contract import Life
from advisor.api.ranges import range_name
from advisor.assessment import Assessment
from advisor.pages import numbers
from advisor.pages.advice import Advice, line, standing
from advisor.pages.figure import range_words
from advisor.pages.marks import Savings, savings
from advisor.pages.node_rows import NodeRow, is_silent, order, row
from advisor.pages.scope import View, nodes_in
from advisor.pages.tiles import Before, Stage, Tile, funnel, tiles

STALE_AFTER = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Quality:
    """One part of the data-quality line; `attention` where something is missing."""

    text: str
    href: str | None = None
    attention: bool = False


@dataclass(frozen=True, slots=True)
class FleetView:
    """Everything the fleet page says."""

    view: View
    words: str
    range: str | None
    stale: str | None
    quality: tuple[Quality, ...]
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]
    funnel: tuple[Stage, ...]
    advice: tuple[Advice, ...]
    open_savings: Savings
    rows: tuple[NodeRow, ...]
    choices: Mapping[str, tuple[str, ...]]
    sort: str


def fleet_view(
    assessment: Assessment,
    lives: Mapping[str, Life],
    before: Before,
    view: View,
    *,
    now: datetime,
    sort: str = "to_win",
) -> FleetView:
    """The fleet page of one assessment in one view."""
    open_advice = standing(assessment, lives, view.scope)
    rows = [row(assessment, node, open_advice) for node in nodes_in(assessment, view.scope)]
    return FleetView(
        view=view,
        words=range_words(assessment),
        range=range_name(assessment),
        stale=stale(assessment, now),
        quality=_quality(assessment, now),
        notes=assessment.notes,
        tiles=tiles(assessment, before, view.scope),
        funnel=funnel(assessment, view.scope),
        advice=tuple(line(item, lives) for item in open_advice[:5]),
        open_savings=savings(open_advice),
        rows=tuple(sorted(rows, key=lambda one: order(one, sort))),
        choices=_choices(assessment),
        sort=sort,
    )


def stale(assessment: Assessment, now: datetime) -> str | None:
    """What to say where the assessment is old, else None."""
    age = now - assessment.made_at
    if age <= STALE_AFTER:
        return None
    return (
        f"These figures are {numbers.duration(age)} old: the last assessment was made "
        f"{numbers.moment(assessment.made_at)}."
    )


def _quality(assessment: Assessment, now: datetime) -> tuple[Quality, ...]:
    fleet = assessment.fleet
    silent = [node.name for node in fleet.nodes if is_silent(node, assessment)]
    dropped = sum(node.batches_dropped for node in fleet.nodes)
    age = numbers.duration(now - assessment.made_at)
    return (
        Quality(
            f"{numbers.moment(fleet.start)} to {numbers.moment(fleet.end)}, assessed {age} ago",
            "/api/v1/assessments",
        ),
        Quality(
            f"{len(fleet.nodes)} nodes, {len(fleet.gpus)} GPUs, {len(fleet.instances)} instances",
            "/api/v1/nodes",
        ),
        Quality(
            f"coverage {numbers.percent(assessment.coverage)}",
            "/api/v1/assessments",
            assessment.coverage < 0.95,
        ),
        Quality(
            f"silent: {', '.join(silent)}" if silent else "no node silent",
            "/api/v1/nodes",
            bool(silent),
        ),
        Quality(f"{dropped:,.0f} batches dropped", "/api/v1/nodes", dropped > 0),
    )


def _choices(assessment: Assessment) -> dict[str, tuple[str, ...]]:
    fleet = assessment.fleet
    return {
        "team": tuple(sorted({d.team for d in fleet.deployments if d.team})),
        "deployment": tuple(sorted(d.name for d in fleet.deployments)),
        "model": tuple(sorted({i.model for i in fleet.instances if i.model})),
        "gpu": tuple(sorted({g.product for g in fleet.gpus})),
    }
