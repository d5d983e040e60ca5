"""What the store's hourly rows become: the summary tables that all reasoning takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.summary import (
    GPU_COLUMNS,
    HISTOGRAMS,
    INSTANCE_COLUMNS,
    RUNNING_BINS,
    Floats,
    GpuHours,
    HourHistogram,
    InstanceHours,
)

Table = Mapping[str, NDArray[Any]]
"""Columns of a query's answer, all of one length."""

HourKey = tuple[str, str, str, int]
"""(host, instance, info digest, hour in Unix seconds)."""


@dataclass(frozen=True, slots=True)
class HistogramEnd:
    """The last end value of a histogram in an hour."""

    key: HourKey
    source: str
    name: str
    origin_s: float
    bounds: Sequence[float]
    counts: Sequence[float]
    sum: float
    last_s: float
    first_start_s: float


def floats(table: Table, name: str) -> Floats:
    """A column as floats, NaN where it was NULL or never stored."""
    if name not in table:
        return np.full(_length(table), np.nan)
    column = table[name]
    if column.dtype == object:
        return np.array([np.nan if v is None else float(v) for v in column])
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)


def words(table: Table, name: str) -> NDArray[np.str_]:
    """A column as strings, empty where it was NULL."""
    column = np.ma.filled(np.ma.asarray(table[name]).astype(object), "")
    return np.array(["" if v is None else str(v) for v in column], dtype=np.str_)


def _length(table: Table) -> int:
    return len(next(iter(table.values())))


def _sum(*parts: Floats) -> Floats:
    """The sum of what is there; NaN only where nothing is."""
    stacked = np.vstack(parts)
    return np.where(np.isnan(stacked).all(axis=0), np.nan, np.nansum(stacked, axis=0))


def _hours(table: Table) -> NDArray[np.datetime64]:
    seconds = np.asarray(table["hour_s"]).astype(np.int64)
    return seconds.astype("datetime64[s]")


def gpu_hours(table: Table) -> GpuHours:
    """GPU rows by hour."""
    columns = {name: floats(table, name) for name in GPU_COLUMNS}
    return GpuHours(
        host_id=words(table, "host_id"),
        gpu_id=words(table, "subject_id"),
        hour=_hours(table),
        columns=columns,
    )


def instance_hours(
    table: Table,
    digests: Mapping[tuple[str, str, str], str],
    histograms: Mapping[HourKey, Mapping[str, HourHistogram]],
) -> InstanceHours:
    """Instance rows by hour; `digests` names the configuration of (host, instance, info digest)."""
    hosts, ids = words(table, "host_id"), words(table, "subject_id")
    infos = words(table, "info_digest")
    columns = {name: floats(table, name) for name in INSTANCE_COLUMNS}
    columns["requests"] = _sum(floats(table, "completed_requests"), columns["failed_requests"])
    keys = [
        (str(host), str(subject), str(info), int(hour))
        for host, subject, info, hour in zip(hosts, ids, infos, table["hour_s"], strict=True)
    ]
    configurations = [digests.get(key[:3], "") for key in keys]
    return InstanceHours(
        host_id=hosts,
        instance_id=ids,
        config_digest=np.array(configurations, dtype=np.str_),
        hour=_hours(table),
        columns=columns,
        load_time_s=_bins(table, "load_time"),
        load_output_tokens=_bins(table, "load_output_tokens"),
        load_energy_j=_bins(table, "load_energy"),
        histograms={
            name: [histograms.get(key, {}).get(name) for key in keys] for name in HISTOGRAMS
        },
    )


def _bins(table: Table, prefix: str) -> Floats:
    return np.column_stack([floats(table, f"{prefix}_{low}") for low in RUNNING_BINS])


def histogram_hours(ends: Iterable[HistogramEnd]) -> dict[HourKey, dict[str, HourHistogram]]:
    """Deltas between consecutive end values of one histogram, added up by hour.

    `ends` come in order of time within an instance, source and name. Of two sources that give one
    histogram in one hour, the first is kept.
    """
    found: dict[HourKey, dict[str, HourHistogram]] = {}
    taken: dict[tuple[HourKey, str], str] = {}
    before: HistogramEnd | None = None
    for end in ends:
        delta = histogram_delta(before, end)
        before = end
        if delta is None or taken.setdefault((end.key, end.name), end.source) != end.source:
            continue
        hour = found.setdefault(end.key, {})
        hour[end.name] = _added(hour.get(end.name), delta)
    return found


def _added(held: HourHistogram | None, more: HourHistogram) -> HourHistogram:
    if held is None or not np.array_equal(held.bounds, more.bounds):
        return more
    return HourHistogram(held.bounds, held.counts + more.counts, held.sum + more.sum)


def histogram_delta(before: HistogramEnd | None, end: HistogramEnd) -> HourHistogram | None:
    """What a histogram gained since the end value before it; None across an origin or backwards."""
    bounds = np.asarray(end.bounds, dtype=np.float64)
    counts, total = np.asarray(end.counts, dtype=np.float64), end.sum
    same = before is not None and (*before.key[:2], before.source, before.name) == (
        *end.key[:2],
        end.source,
        end.name,
    )
    if same and before is not None and abs(before.origin_s - end.origin_s) < 0.5:
        if not np.array_equal(np.asarray(before.bounds), bounds):
            return None
        counts, total = counts - np.asarray(before.counts), total - before.sum
    elif end.origin_s < (before.last_s if same and before else end.first_start_s) - 0.5:
        return None
    buckets = np.diff(counts, prepend=0.0)
    return None if (buckets < 0).any() else HourHistogram(bounds, buckets, total)
