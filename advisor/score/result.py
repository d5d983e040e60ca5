"""What scoring says of a target: indicators, five dimensions and a total, each as low to high."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DIMENSIONS = ("scale", "multidimensional", "architecture", "roi", "ecosystem")
"""The five SMART dimensions, in order: S M A R T."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One measured quantity of a dimension. `points` 0..100 or None where there is no data.

    `value` is in `unit`; `attainable` is what would score 100; `reason` says in words what was
    seen and `remedy` what would raise it; `source` names the columns or coefficients behind it.
    """

    id: str
    dimension: str
    title: str
    value: float | None
    unit: str
    points: float | None
    attainable: float | None
    reason: str
    remedy: str
    source: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """Low counts missing indicators as 0, high counts them as 100. Sorted and shown by low."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The scores of one target: kind is node, instance, deployment or fleet."""

    kind: str
    id: str
    total: Score
    dimensions: Mapping[str, Score]
    indicators: tuple[Indicator, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What bounds a target, in the words of the glossary, with the figures that show it."""

    kind: str
    id: str
    word: str
    reason: str
    figures: Mapping[str, float]


DIAGNOSES = (
    "memory_bandwidth",
    "compute",
    "interconnect",
    "host",
    "kv_capacity",
    "queue",
    "idle",
    "throttled",
    "telemetry_fault",
    "unknown_workload",
    "reserved",
)
