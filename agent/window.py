"""Readings of many moments become one window of one subject; what `ship` encodes and `spool` keeps.

A window holds end values of counters with the time of their origin, integrals of levels with the
seconds they were observed, means and maxima, histograms as they stand, and load-conditioned counters.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.vocabulary import Attributes, Histogram, SubjectKind


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a window describes: a GPU by UUID, an instance, a node by host id, an agent by epoch."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a window. `origin_s` is the Unix time a counter began at; None for levels."""

    signal: str
    attributes: Attributes
    value: float | Histogram
    origin_s: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What one source said of one subject between two Unix times."""

    subject: Subject
    source: str
    start_s: float
    end_s: float
    points: tuple[Point, ...]
