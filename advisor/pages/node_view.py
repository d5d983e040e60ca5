"""The node page as values: identity, SMART with indicators, charts, GPUs, instances, advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from advisor.advise.recommendation import FlagChange, Recommendation
from advisor.api import present
from advisor.api.contract import Life
from advisor.api.models import GpuResource, InstanceResource
from advisor.api.ranges import range_name
from advisor.assessment import Assessment
from advisor.pages import numbers, words
from advisor.pages.advice import Advice, line
from advisor.pages.charts import CurveChart, TimeCharts, curve_charts, time_charts
from advisor.pages.figure import Figure, figure, range_words
from advisor.pages.fleet_view import stale
from advisor.pages.marks import Bar, bars, score_text
from advisor.pages.node_rows import gpu_words, is_silent
from advisor.pages.scope import View
from advisor.score.result import Diagnosis, Indicator
from advisor.summary import Node


@dataclass(frozen=True, slots=True)
class IndicatorRow:
    """An indicator with its value and scale as text."""

    title: str
    value: Figure
    attainable: str
    points: float | None
    reason: str
    remedy: str
    source: str
    critical: bool


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension with its bar and indicators."""

    bar: Bar
    title: str
    indicators: tuple[IndicatorRow, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of one GPU: its figure, its share of the scale, and whether it stands out."""

    figure: Figure
    share: float | None
    apart: bool


@dataclass(frozen=True, slots=True)
class GpuMeasure:
    """One row of the GPU table: a quantity over all GPUs."""

    label: str
    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class EffectLine:
    """One quantity now and predicted."""

    label: str
    now: Figure
    low: str
    expected: str
    high: str
    title: str
    mark: str
    evidence: str


@dataclass(frozen=True, slots=True)
class AdviceDetail:
    """A recommendation with its diff and effects."""

    line: Advice
    change: tuple[FlagChange, ...]
    effects: tuple[EffectLine, ...]
    why: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """Everything the node page says."""

    view: View
    words: str
    range: str | None
    stale: str | None
    node: Node
    silent: bool
    identity: tuple[tuple[str, str], ...]
    score: str
    bars: tuple[Bar, ...]
    dimensions: tuple[Dimension, ...]
    diagnosis: Diagnosis | None
    diagnosis_words: str
    charts: TimeCharts
    curves: tuple[CurveChart, ...]
    gpus: tuple[GpuResource, ...]
    measures: tuple[GpuMeasure, ...]
    instances: tuple[InstanceResource, ...]
    advice: tuple[AdviceDetail, ...]
    past: tuple[Advice, ...]


def node_view(
    assessment: Assessment,
    node: Node,
    lives: Mapping[str, Life],
    view: View,
    *,
    now: datetime,
) -> NodeView:
    """The node page of one assessment."""
    card = present.scorecard(assessment, "node", node.id)
    said = present.diagnosis(assessment, "node", node.id)
    instances = tuple(
        present.instance(assessment, i) for i in present.node_instances(assessment, node)
    )
    gpus = tuple(present.gpu(assessment, g) for g in assessment.fleet.gpus if g.host_id == node.id)
    own = [r for r in assessment.recommendations if node.id in r.node_ids]
    standing = [r for r in own if lives.get(r.id, Life(r.state)).state in ("open", "accepted")]
    return NodeView(
        view=view,
        words=range_words(assessment),
        range=range_name(assessment),
        stale=stale(assessment, now),
        node=node,
        silent=is_silent(node, assessment),
        identity=_identity(assessment, node, instances, gpus),
        score=score_text(card.total if card else None),
        bars=bars(card),
        dimensions=tuple(_dimension(bar, card.indicators) for bar in bars(card)) if card else (),
        diagnosis=said,
        diagnosis_words=words.diagnosis(said.word) if said else "no diagnosis",
        charts=time_charts(assessment, node, instances),
        curves=curve_charts(assessment, instances, standing),
        gpus=gpus,
        measures=_measures(gpus),
        instances=instances,
        advice=tuple(detail(r, lives) for r in sorted(standing, key=lambda r: r.rank)),
        past=tuple(line(r, lives) for r in own if r not in standing),
    )


def detail(item: Recommendation, lives: Mapping[str, Life]) -> AdviceDetail:
    """A recommendation with its diff and effect table."""
    effects = tuple(effect_line(item, at) for at in range(len(item.effects)))
    return AdviceDetail(line(item, lives), item.change, effects, item.why)


def effect_line(item: Recommendation, at: int) -> EffectLine:
    """One row of an effect table."""
    row = item.effects[at]
    predicted = row.predicted

    def write(value: float | None) -> str:
        return words.written(row.quantity, value)

    return EffectLine(
        label=words.quantity(row.quantity),
        now=figure(row.now, write, row.unit, f"/api/v1/recommendations/{item.id}"),
        low=write(predicted.low),
        expected=write(predicted.expected),
        high=write(predicted.high),
        title=f"90 % interval {predicted.low:.6g} to {predicted.high:.6g} {row.unit}",
        mark=words.EVIDENCE_MARK[predicted.evidence],
        evidence=predicted.evidence.value,
    )


def _joined(values: Sequence[str | None]) -> str:
    return ", ".join(dict.fromkeys(v for v in values if v)) or "not known"


def _identity(
    assessment: Assessment,
    node: Node,
    instances: Sequence[InstanceResource],
    gpus: Sequence[GpuResource],
) -> tuple[tuple[str, str], ...]:
    engines = [f"{words.engine(i.engine)} {i.engine_version or ''}".strip() for i in instances]
    since = [i.first_seen for i in instances if i.first_seen]
    return (
        ("GPUs", gpu_words(assessment, node)),
        ("Driver", _joined([g.driver_version for g in gpus])),
        ("Engine", _joined(engines)),
        ("Model", _joined([numbers.short_model(i.model) for i in instances if i.model])),
        ("Configuration", _joined([i.config_digest[:12] for i in instances])),
        ("Since", numbers.moment(min(since)) if since else "not known"),
        ("Last heard", numbers.moment(node.last_seen) if node.last_seen else "never"),
        ("Agent", node.agent_version or "not known"),
    )


def _dimension(bar: Bar, indicators: Sequence[Indicator]) -> Dimension:
    rows = tuple(_indicator(i) for i in indicators if i.dimension == bar.name)
    return Dimension(bar, words.DIMENSION[bar.name], rows)


def _indicator(value: Indicator) -> IndicatorRow:
    return IndicatorRow(
        title=value.title,
        value=figure(value.value, lambda v: _with_unit(v, value.unit), value.unit),
        attainable=_with_unit(value.attainable, value.unit),
        points=value.points,
        reason=value.reason,
        remedy="" if value.points is not None and value.points >= 99.5 else value.remedy,
        source=value.source,
        critical=value.critical,
    )


def _with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return numbers.ABSENT
    above, _, below = unit.partition("/")
    if unit in ("1", "ratio") or above == below:
        return numbers.percent(value)
    if unit == "USD":
        return numbers.usd(value)
    return f"{numbers.significant(value)} {unit.replace('{', '').replace('}', '')}"


_GPU_ROWS: tuple[tuple[str, str, str, float], ...] = (
    ("Power", "W", "power_w", 1.0),
    ("SM active", "%", "sm_active_ratio", 100.0),
    ("Tensor active", "%", "tensor_active_ratio", 100.0),
    ("DRAM active", "%", "dram_active_ratio", 100.0),
    ("NVLink", "GB/s", "nvlink_bytes_per_s", 1e-9),
    ("Memory used", "%", "memory_used_ratio", 100.0),
    ("Temperature", "\u00b0C", "temperature_celsius", 1.0),
    ("SM clock", "MHz", "clock_sm_hz", 1e-6),
    ("Throttled", "%", "throttled_ratio", 100.0),
)
APART = 0.1
"""A GPU stands apart where it differs from the median by more than this share of it."""


def _measures(gpus: Sequence[GpuResource]) -> tuple[GpuMeasure, ...]:
    return tuple(
        GpuMeasure(label, unit, _cells([getattr(g, field) for g in gpus], gpus, unit, scale))
        for label, unit, field, scale in _GPU_ROWS
    )


def _cells(
    values: Sequence[float | None], gpus: Sequence[GpuResource], unit: str, scale: float
) -> tuple[Cell, ...]:
    scaled = [value * scale if value is not None else None for value in values]
    known = [value for value in scaled if value is not None]
    middle = float(np.median(known)) if known else 0.0
    top = 100.0 if unit == "%" else max(known, default=0.0)
    return tuple(
        Cell(
            figure(
                value, lambda v: numbers.significant(v, 3), unit, f"/api/v1/gpus?node={gpu.host_id}"
            ),
            value / top if value is not None and top > 0 else None,
            _stands_apart(value, middle, unit),
        )
        for value, gpu in zip(scaled, gpus, strict=True)
    )


def _stands_apart(value: float | None, middle: float, unit: str) -> bool:
    if value is None:
        return False
    least = 2.0 if unit == "%" else 0.0
    return abs(value - middle) > max(APART * abs(middle), least)
