"""The small interface behind which telemetry is kept; all the advisor knows of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from advisor.summary import Floats, Gpu, GpuHours, Instance, InstanceHours, Node


@dataclass(frozen=True)
class Fragment:
    """What one source said of one subject in one window: the unit that is appended.

    Keyed by (kind, host, subject, epoch, sequence, source). `values` maps store columns to
    floats, `origins` the same columns to the Unix time their counter began; `histograms` maps
    short names to (bounds, cumulative counts, sum); `info` holds the attributes of an info signal.
    """

    kind: str
    host_id: str
    subject_id: str
    epoch: str
    sequence: int
    source: str
    start_s: float
    end_s: float
    values: Mapping[str, float]
    origins: Mapping[str, float]
    histograms: Mapping[str, tuple[tuple[float, ...], tuple[float, ...], float]]
    info: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Series:
    """Values of one subject over time; `time` is the end of each step."""

    time: NDArray[np.datetime64]
    columns: Mapping[str, Floats]


class WindowStore(Protocol):
    """Telemetry as fragments in, windows, infos and hourly summaries out. Times are aware UTC."""

    def append(self, fragments: Sequence[Fragment]) -> int:
        """Commit fragments durably; return how many were new. A known key is a no-op."""
        ...

    def series(
        self, kind: str, subject_id: str, start: datetime, end: datetime, step_s: int
    ) -> Series:
        """Rates and levels of one subject, each step of `step_s` seconds; a gap is NaN."""
        ...

    def nodes(self) -> tuple[Node, ...]:
        """Every node ever seen."""
        ...

    def gpus(self) -> tuple[Gpu, ...]:
        """Every GPU as last described."""
        ...

    def instances(self) -> tuple[Instance, ...]:
        """Every instance as last described."""
        ...

    def instance_hours(self, start: datetime, end: datetime) -> InstanceHours:
        """Hourly summaries of instances; deltas never cross an origin."""
        ...

    def gpu_hours(self, start: datetime, end: datetime) -> GpuHours:
        """Hourly summaries of GPUs; deltas never cross an origin."""
        ...
