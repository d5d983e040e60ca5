"""What the node page's charts show: where their data is, and the finding that is their title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from advisor.advise.recommendation import Recommendation
from advisor.api.models import InstanceResource
from advisor.assessment import Assessment, ResponseCurve
from advisor.pages import numbers
from advisor.summary import Floats, InstanceHours, Node

STEP_S = ((timedelta(days=2), 300), (timedelta(days=10), 1800), (timedelta(days=400), 7200))
"""Step of a chart's data by the length of its range: about 300 to 500 points."""
TOKENS, WATTS, TPOT = ("output_tokens_per_s",), ("power_w",), ("tpot_p95_s",)
REQUESTS = ("running", "waiting")


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart on the common time axis: a column of series, its finding, quantity and unit."""

    id: str
    finding: str
    quantity: str
    unit: str
    columns: tuple[str, ...]
    scale: float = 1.0
    each_instance: bool = False
    limit: float | None = None
    limit_label: str = ""


@dataclass(frozen=True, slots=True)
class TimeCharts:
    """The panels, what to fetch for them, and the configuration changes to mark."""

    panels: tuple[Panel, ...]
    node: str
    instances: tuple[str, ...]
    start: datetime
    end: datetime
    step_s: int
    changes: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class CurveChart:
    """A response curve: load, delivery and density, with what advice predicts."""

    instance_id: str
    label: str
    finding: str
    running: tuple[float, ...]
    tokens_per_s: tuple[float | None, ...]
    joules_per_token: tuple[float | None, ...]
    hours: tuple[float, ...]
    advice: Mapping[str, float | str] | None


def time_charts(
    assessment: Assessment, node: Node, instances: Sequence[InstanceResource]
) -> TimeCharts:
    """The four panels of a node over the range of the assessment."""
    fleet = assessment.fleet
    length = fleet.end - fleet.start
    step_s = next(step for limit, step in STEP_S if length <= limit)
    hours = fleet.instance_hours
    ids = tuple(instance.id for instance in instances)
    rows = np.isin(hours.instance_id, ids)
    slo_s = _slo_s(assessment, ids)
    return TimeCharts(
        panels=(
            Panel("tokens", _tokens_finding(hours, rows), "Output", "tokens/s", TOKENS),
            Panel("watts", _watts_finding(hours, rows), "GPU power", "W", WATTS),
            Panel(
                "tpot",
                _tpot_finding(instances, slo_s),
                "TPOT p95",
                "ms",
                TPOT,
                1000.0,
                each_instance=True,
                limit=slo_s * 1000 if slo_s else None,
                limit_label=f"SLO {numbers.milliseconds(slo_s)}" if slo_s else "",
            ),
            Panel("queue", _queue_finding(instances), "Running, waiting", "requests", REQUESTS),
        ),
        node=node.id,
        instances=ids,
        start=fleet.start,
        end=fleet.end,
        step_s=step_s,
        changes=_changes(hours, rows),
    )


def _slo_s(assessment: Assessment, ids: Sequence[str]) -> float | None:
    limits = [
        d.tpot_p95_s
        for d in assessment.fleet.deployments
        if d.tpot_p95_s is not None and set(ids) & set(d.instance_ids)
    ]
    return min(limits, default=None)


def _by_hour(hours: InstanceHours, rows: np.ndarray, column: str) -> Floats:
    """A column summed over the chosen instances, hour by hour; NaN where none has it."""
    values = hours.columns[column][rows]
    _, index = np.unique(hours.hour[rows], return_inverse=True)
    known = np.isfinite(values)
    size = int(index.max()) + 1 if index.size else 0
    totals = np.bincount(index[known], weights=values[known], minlength=size)
    seen = np.bincount(index[known], minlength=size)
    return np.where(seen > 0, totals, np.nan)


def _tokens_finding(hours: InstanceHours, rows: np.ndarray) -> str:
    rate = _by_hour(hours, rows, "output_tokens") / 3600
    rate = rate[np.isfinite(rate)]
    if rate.size < 2 or rate.mean() <= 0:
        return "Too few hours to say how output moves"
    peak = rate.max() / rate.mean()
    if peak < 1.15:
        return f"Output is steady near {numbers.significant(rate.mean(), 2)} tokens/s"
    return (
        f"Output peaks at {numbers.significant(rate.max(), 2)} tokens/s, "
        f"{numbers.significant(peak, 2)} times its mean"
    )


def _watts_finding(hours: InstanceHours, rows: np.ndarray) -> str:
    tokens = _by_hour(hours, rows, "output_tokens")
    power_w = _by_hour(hours, rows, "gpu_energy_j") / 3600
    both = np.isfinite(tokens) & np.isfinite(power_w)
    if both.sum() < 8:
        return "Too few hours to say how watts follow load"
    order = np.argsort(tokens[both])
    tenth = max(1, order.size // 10)
    quiet, busy = (float(power_w[both][part].mean()) for part in (order[:tenth], order[-tenth:]))
    least, most = (float(tokens[both][part].mean()) for part in (order[:tenth], order[-tenth:]))
    if most <= 0 or least / most > 0.8:
        return f"Watts stay near {numbers.watts(float(power_w[both].mean()))} at a steady load"
    follows = "hardly fall when load does" if quiet / busy > 0.75 else "fall when load does"
    return f"Watts {follows}: {numbers.watts(quiet)} at the quietest, {numbers.watts(busy)} busy"


def _tpot_finding(instances: Sequence[InstanceResource], slo_s: float | None) -> str:
    found = [i.measured.tpot_p95_s for i in instances if i.measured and i.measured.tpot_p95_s]
    if not found:
        return "TPOT was not measured"
    worst = max(found)
    if slo_s is None:
        return f"TPOT p95 is {numbers.milliseconds(worst)}; no SLO is declared"
    side = "stays inside" if worst <= slo_s else "is above"
    return (
        f"TPOT p95 {side} the SLO: {numbers.milliseconds(worst)} of {numbers.milliseconds(slo_s)}"
    )


def _queue_finding(instances: Sequence[InstanceResource]) -> str:
    found = [i.measured.saturated_ratio for i in instances if i.measured]
    known = [value for value in found if value is not None]
    if not known:
        return "Whether requests queue was not measured"
    worst = max(known)
    if worst < 0.01:
        return "Requests hardly ever wait"
    return f"Requests wait {numbers.percent(worst)} of the time"


def _changes(hours: InstanceHours, rows: np.ndarray) -> tuple[tuple[float, str], ...]:
    """When an instance's configuration digest changed, in Unix seconds, with its new digest."""
    found = []
    for instance in np.unique(hours.instance_id[rows]):
        own = hours.instance_id == instance
        order = np.argsort(hours.hour[own], kind="stable")
        digests = hours.config_digest[own][order]
        times = hours.hour[own][order].astype("datetime64[s]").astype(np.int64)
        turns = np.flatnonzero(digests[1:] != digests[:-1]) + 1
        found += [(float(times[at]), f"{instance}: {str(digests[at])[:8]}") for at in turns]
    return tuple(sorted(found))


def curve_charts(
    assessment: Assessment,
    instances: Sequence[InstanceResource],
    standing: Sequence[Recommendation],
) -> tuple[CurveChart, ...]:
    """One chart a configuration that has a curve of two points or more."""
    gpus = {instance.id: len(instance.gpu_ids) for instance in instances}
    return tuple(
        _curve_chart(c, gpus[c.instance_id], _predicted(c.instance_id, standing))
        for c in assessment.curves
        if c.instance_id in gpus and len(c.points) >= 2
    )


def _predicted(
    instance_id: str, standing: Sequence[Recommendation]
) -> Mapping[str, float | str] | None:
    """Where the best standing advice on an instance puts it: its part of the tokens/s, its load.

    Requests in flight are tokens/s times seconds a token (Little's law); without a predicted TPOT
    there is no place on the axis of load, and so no mark.
    """
    for item in sorted(standing, key=lambda r: r.rank):
        rows = {row.quantity: row.predicted for row in item.effects}
        rate, tpot_s = rows.get("output_tokens_per_s"), rows.get("tpot_s")
        if instance_id not in item.instance_ids or rate is None or tpot_s is None:
            continue
        share = 1 / len(item.instance_ids)
        return {
            "title": item.title,
            "running": rate.expected * share * tpot_s.expected,
            "low": rate.low * share,
            "expected": rate.expected * share,
            "high": rate.high * share,
            "evidence": rate.evidence.value,
        }
    return None


def _curve_chart(
    curve: ResponseCurve, gpus: int, advice: Mapping[str, float | str] | None
) -> CurveChart:
    points = sorted(curve.points, key=lambda point: point.running)
    joules = [
        p.power_w * gpus / p.output_tokens_per_s if p.power_w and p.output_tokens_per_s else None
        for p in points
    ]
    return CurveChart(
        instance_id=curve.instance_id,
        label=f"{curve.instance_id}, configuration {curve.config_digest[:8]}",
        finding=_curve_finding([p.running for p in points], joules, [p.seconds for p in points]),
        running=tuple(p.running for p in points),
        tokens_per_s=tuple(p.output_tokens_per_s for p in points),
        joules_per_token=tuple(joules),
        hours=tuple(p.seconds / 3600 for p in points),
        advice=advice,
    )


def _curve_finding(
    running: Sequence[float], joules: Sequence[float | None], seconds: Sequence[float]
) -> str:
    known = [value for value in joules if value is not None]
    if not known or not sum(seconds):
        return "Delivery against load; power was not measured"
    usual = int(np.argmax(seconds))
    here = joules[usual]
    load = numbers.significant(running[usual], 2)
    if here is None:
        return f"Most of the time {load} requests run"
    times = here / min(known)
    if times < 1.05:
        return f"Most of the time {load} requests run, where a token costs the fewest joules seen"
    return (
        f"Most of the time {load} requests run, where a token costs "
        f"{numbers.significant(times, 2)} times the fewest joules seen"
    )


def epoch_s(value: datetime) -> float:
    """Unix seconds of an aware time."""
    return value.astimezone(UTC).timestamp()
