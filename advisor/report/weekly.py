"""The weekly report as values: what the mail says, computed from one assessment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from advisor.api.contract import Life, ReportAddress, ScoreMoment
from advisor.api.ranges import length
from advisor.assessment import Assessment, CostLine
from advisor.pages import numbers
from advisor.pages.advice import Advice, line, standing
from advisor.pages.figure import range_words
from advisor.pages.marks import Savings, savings
from advisor.pages.node_rows import NodeRow, is_silent, row
from advisor.pages.scope import Scope
from advisor.pages.sources import sources
from advisor.pages.tiles import Before, Stage, Tile, funnel, losses, prices, tiles
from advisor.pages.trend import (
    Change,
    Steps,
    joules_change,
    steps,
    usd_change,
    volume_change,
)
from advisor.summary import InstanceHours, Node

WORST, BEST, ACTIONS = 10, 3, 5
STEPS_A_DAY = 4


@dataclass(frozen=True, slots=True)
class Showback:
    """One row of who used what: a team or a model; idle is a row of its own."""

    name: str
    usd: str
    output_tokens: str
    usd_per_million: str
    kilowatt_hours: str


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """Everything the weekly mail says, in its order."""

    id: str
    week: str
    subject: str
    headline: str
    preheader: str
    start: datetime
    end: datetime
    words: str
    tiles: tuple[Tile, ...]
    changes: tuple[str, ...]
    actions: tuple[Advice, ...]
    open_savings: Savings
    funnel: tuple[Stage, ...]
    losses: str
    worst: tuple[NodeRow, ...]
    best: tuple[NodeRow, ...]
    silent: tuple[str, ...]
    showback: tuple[Showback, ...]
    energy: tuple[tuple[str, str], ...]
    course: Steps
    coverage: str
    sources: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    base_url: str


def weekly_report(
    assessment: Assessment,
    lives: Mapping[str, Life],
    history: Sequence[ScoreMoment],
    hours_before: InstanceHours | None,
    address: ReportAddress,
) -> WeeklyReport:
    """The report on the range of an assessment."""
    before = Before(hours_before, history)
    advice = standing(assessment, lives, Scope())
    shown = tiles(assessment, before, Scope())
    fleet_cost = next((c for c in assessment.costs if c.kind == "fleet"), None)
    stages = funnel(assessment, Scope())
    heard = [n for n in assessment.fleet.nodes if not is_silent(n, assessment)]
    rows = sorted(
        (row(assessment, node, advice) for node in heard),
        key=lambda r: (r.score_low is None, r.score_low or 0.0, r.name),
    )
    open_savings = savings(advice)
    name = week_name(assessment)
    return WeeklyReport(
        id=f"weekly-{name}",
        week=name[5:],
        subject=_subject(name[5:], assessment, shown, open_savings),
        headline=_headline(assessment, open_savings),
        preheader=_preheader([line(item, lives) for item in advice]),
        start=assessment.fleet.start,
        end=assessment.fleet.end,
        words=range_words(assessment),
        tiles=shown,
        changes=_changes(assessment.fleet.instance_hours, hours_before),
        actions=tuple(line(item, lives) for item in advice[:ACTIONS]),
        open_savings=open_savings,
        funnel=stages,
        losses=losses(stages),
        worst=tuple(rows[:WORST]),
        best=tuple(reversed(rows[WORST:][-BEST:])),
        silent=tuple(_silent_words(n) for n in assessment.fleet.nodes if n not in heard),
        showback=_showback(assessment),
        energy=_energy(fleet_cost, assessment),
        course=_course(assessment),
        coverage=numbers.percent(assessment.coverage),
        sources=sources(assessment.coefficients),
        notes=assessment.notes,
        base_url=address.base_url.rstrip("/"),
    )


def _course(assessment: Assessment) -> Steps:
    """The range in steps of a part of a day."""
    fleet = assessment.fleet
    days = max(1, round(length(assessment).total_seconds() / 86400))
    return steps(
        fleet.instance_hours,
        prices(assessment),
        span=(fleet.start, fleet.end),
        count=days * STEPS_A_DAY,
    )


def week_name(assessment: Assessment) -> str:
    """The ISO week that holds the middle of the range: 2026-W47."""
    year, week, _ = (assessment.fleet.start + length(assessment) / 2).isocalendar()
    return f"{year}-W{week:02d}"


def _subject(
    week: str, assessment: Assessment, shown: Sequence[Tile], open_savings: Savings
) -> str:
    parts = []
    if shown:
        score, usd = shown[4], shown[1]
        low = "no score" if score.figure.value is None else f"fleet score {score.figure.value:.0f}"
        points = score.moved.text.split(" ")[0] if score.moved.text[:1] in "+\u2212" else ""
        parts.append(f"{low} ({points})" if points else low)
        if usd.figure.value is not None:
            parts.append(f"{usd.figure.text}/1M tok")
    else:
        parts.append(f"{len(assessment.fleet.nodes)} nodes, nothing priced yet")
    if open_savings.usd_per_month > 0:
        parts.append(f"{numbers.usd(open_savings.usd_per_month, 2)}/mo open savings")
    else:
        parts.append("nothing to change")
    return _one_line(f"[Joulewise] {week} " + " \u00b7 ".join(parts))


def _headline(assessment: Assessment, open_savings: Savings) -> str:
    nodes = len(assessment.fleet.nodes)
    if open_savings.usd_per_month <= 0:
        return f"{nodes} nodes, and nothing to change that pays inside the SLO"
    saving = numbers.usd(open_savings.usd_per_month, 2)
    count = open_savings.summed
    return f"{count} {'change' if count == 1 else 'changes'} would save {saving} a month"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _preheader(actions: Sequence[Advice]) -> str:
    if not actions:
        return "No rule found a change that pays inside the SLO."
    return f"{actions[0].title}: {actions[0].saving.text} a month."


def _changes(now: InstanceHours, before: InstanceHours | None) -> tuple[str, ...]:
    if before is None:
        return ("The week before is not stored, so nothing can be compared yet.",)
    said = (
        _change_line("Output tokens", volume_change(now, before), "against the range before"),
        _change_line("GPU time a token", usd_change(now, before), "at matched load"),
        _change_line("Joules a token", joules_change(now, before), "at matched load"),
    )
    known = tuple(words for words in said if words)
    return known or ("The range before holds too little to compare with.",)


def _change_line(name: str, change: Change | None, basis: str) -> str:
    if change is None:
        return ""
    if abs(change.ratio) < 0.0005:
        return f"{name}: unchanged {basis}."
    return f"{name}: {numbers.signed_percent(change.ratio)} {basis}."


def _silent_words(node: Node) -> str:
    return (
        f"{node.name} (last heard {numbers.moment(node.last_seen) if node.last_seen else 'never'})"
    )


def _showback(assessment: Assessment) -> tuple[Showback, ...]:
    """Teams where there are any, else deployments; what no request used is the last row."""
    lines = [c for c in assessment.costs if c.kind == "team"]
    lines = lines or [c for c in assessment.costs if c.kind == "deployment"]
    lines.sort(key=lambda c: -(c.cost_usd or 0.0))
    rows = [_showback_row(c.id, c) for c in lines]
    fleet = next((c for c in assessment.costs if c.kind == "fleet"), None)
    if fleet and fleet.idle_cost_usd is not None:
        idle = numbers.usd(fleet.idle_cost_usd)
        rows.append(Showback("of it idle", idle, "", "", ""))
    return tuple(rows)


def _showback_row(name: str, cost: CostLine) -> Showback:
    return Showback(
        name,
        numbers.usd(cost.cost_usd),
        numbers.scaled(cost.output_tokens),
        numbers.usd(cost.usd_per_million_output_tokens),
        numbers.kilowatt_hours(cost.energy_j),
    )


def _energy(fleet: CostLine | None, assessment: Assessment) -> tuple[tuple[str, str], ...]:
    if fleet is None or fleet.energy_j is None:
        return (("GPU energy", "not measured"),)
    known = assessment.coefficients
    return (
        ("GPU energy", numbers.kilowatt_hours(fleet.energy_j)),
        ("Mean GPU power", numbers.watts(fleet.mean_power_w)),
        ("Facility", known.get("pue", "no PUE is set, so none is stated")),
        ("Carbon", known.get("grid_carbon", "no grid factor is set, so none is stated")),
    )
