"""Rates and levels over time for charts: windows of one subject spread over even steps."""

# ruff: noqa: S608 - table and column names come from our own table; values are always bound

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from advisor.store.duckdb_deltas import LOOKBACK_S, described_windows, merged_windows
from advisor.store.histogram import quantile
from advisor.store.hours import HistogramEnd, Table, floats, histogram_delta
from advisor.store.windows import Series
from advisor.summary import Floats, Instance
from agent.vocabulary import SubjectKind

Steps = tuple[float, float, float]
"""(start, end, step) in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A chart column: the sum of `parts` over `per`, a counter or, if None, the time itself."""

    parts: tuple[str, ...]
    per: str | None = None


GPU_RATES: Mapping[str, Rate] = {
    "power_w": Rate(("energy_j",)),
    "sm_active": Rate(("sm_active_s",), "activity_observed_s"),
    "tensor_active": Rate(("tensor_active_s",), "activity_observed_s"),
    "dram_active": Rate(("dram_active_s",), "activity_observed_s"),
    "nvlink_bytes_per_s": Rate(
        ("nvlink_transmit_bytes", "nvlink_receive_bytes", "nvlink_both_bytes")
    ),
    "throttle_ratio": Rate(("throttle_power_s", "throttle_thermal_s", "throttle_other_s")),
}
GPU_LEVELS = ("utilization", "temperature_celsius", "clock_sm_hz")
GPU_FALLBACK = ("energy_derived_j", "power_w")
INSTANCE_RATES: Mapping[str, Rate] = {
    "output_tokens_per_s": Rate(("output_tokens",)),
    "input_tokens_per_s": Rate(("input_tokens",)),
    "running": Rate(("running_time_s",), "observed_s"),
    "waiting": Rate(("waiting_time_s",), "observed_s"),
    "kv_used": Rate(("kv_used_time_s",), "observed_s"),
}
INSTANCE_QUANTILES = {"ttft_p95_s": "ttft_s", "tpot_p95_s": "tpot_s"}
NODE_SUMS = ("power_w", "output_tokens_per_s", "input_tokens_per_s", "running", "waiting")
NODE_MEANS = ("utilization", "sm_active", "tensor_active", "dram_active")


def series_of(
    reader: duckdb.DuckDBPyConnection,
    kind: str,
    subject_id: str,
    steps: Steps,
    instances: Sequence[Instance],
) -> Series:
    """The chart columns of a GPU, an instance, or a node as the sum or mean of what it holds."""
    if kind == "gpu":
        return Series(
            _step_ends(steps), _gpu_columns(reader, "subject_id = $id", subject_id, steps)
        )
    if kind == "instance":
        return Series(_step_ends(steps), _instance_columns(reader, subject_id, steps, instances))
    return Series(_step_ends(steps), _node_columns(reader, subject_id, steps, instances))


def _step_count(steps: Steps) -> int:
    return max(1, int(np.ceil((steps[1] - steps[0]) / steps[2] - 1e-9)))


def _step_ends(steps: Steps) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    ends = steps[0] + steps[2] * np.arange(1, _step_count(steps) + 1)
    return ends.astype("datetime64[s]")


def _node_columns(
    reader: duckdb.DuckDBPyConnection, host_id: str, steps: Steps, instances: Sequence[Instance]
) -> dict[str, Floats]:
    gpus = _by_subject(reader, "gpu", host_id, steps)
    served = [one.id for one in instances if one.host_id == host_id]
    parts = [*gpus, *(_instance_columns(reader, one, steps, ()) for one in served)]
    found = {}
    for names, join in ((NODE_SUMS, np.nansum), (NODE_MEANS, np.nanmean)):
        for name in names:
            held = np.array([part[name] for part in parts if name in part])
            found[name] = _joined(held, join, _step_count(steps))
    return found


def _joined(held: Floats, join: Any, length: int) -> Floats:
    """Parts joined step by step where at least one has a value."""
    joined = np.full(length, np.nan)
    if len(held):
        seen = ~np.isnan(held).all(axis=0)
        joined[seen] = join(held[:, seen], axis=0)
    return joined


def _by_subject(
    reader: duckdb.DuckDBPyConnection, kind: SubjectKind, host_id: str, steps: Steps
) -> list[dict[str, Floats]]:
    rows = reader.execute(
        f"select distinct subject_id from {kind}_windows where host_id = $id order by 1",
        {"id": host_id},
    ).fetchall()
    return [_gpu_columns(reader, "subject_id = $id", subject, steps) for (subject,) in rows]


def _gpu_columns(
    reader: duckdb.DuckDBPyConnection, condition: str, subject_id: str, steps: Steps
) -> dict[str, Floats]:
    names = [*_parts(GPU_RATES), *GPU_LEVELS, *GPU_FALLBACK]
    query = merged_windows("gpu", names, condition)
    table = reader.execute(query, _parameters(subject_id, steps)).fetchnumpy()
    spread = _Spread(table, steps)
    found = {name: spread.rate(rate) for name, rate in GPU_RATES.items()}
    found.update({name: spread.level(name) for name in GPU_LEVELS})
    for power in (spread.rate(Rate(("energy_derived_j",))), spread.level("power_w")):
        found["power_w"] = np.where(np.isnan(found["power_w"]), power, found["power_w"])
    return found


def _instance_columns(
    reader: duckdb.DuckDBPyConnection,
    instance_id: str,
    steps: Steps,
    instances: Sequence[Instance],
) -> dict[str, Floats]:
    query = merged_windows("instance", _parts(INSTANCE_RATES), "subject_id = $id")
    table = reader.execute(query, _parameters(instance_id, steps)).fetchnumpy()
    spread = _Spread(table, steps)
    found = {name: spread.rate(rate) for name, rate in INSTANCE_RATES.items()}
    found.update(_quantiles(reader, instance_id, steps))
    gpu_ids = [gpu for one in instances if one.id == instance_id for gpu in one.gpu_ids]
    watts = [_gpu_columns(reader, "subject_id = $id", gpu, steps)["power_w"] for gpu in gpu_ids]
    found["power_w"] = _joined(np.array(watts), np.nansum, _step_count(steps))
    return found


def _quantiles(
    reader: duckdb.DuckDBPyConnection, instance_id: str, steps: Steps
) -> dict[str, Floats]:
    length = _step_count(steps)
    found = {column: np.full(length, np.nan) for column in INSTANCE_QUANTILES}
    for column, name in INSTANCE_QUANTILES.items():
        counts: dict[int, Floats] = {}
        bounds: dict[int, Floats] = {}
        for step, delta_bounds, delta_counts in _histogram_steps(reader, instance_id, name, steps):
            if step in counts and np.array_equal(bounds[step], delta_bounds):
                counts[step] = counts[step] + delta_counts
            else:
                counts[step], bounds[step] = delta_counts, delta_bounds
        for step, held in counts.items():
            found[column][step] = quantile(bounds[step], held, 0.95)
    return found


def _histogram_steps(
    reader: duckdb.DuckDBPyConnection, instance_id: str, name: str, steps: Steps
) -> list[tuple[int, Floats, Floats]]:
    """(step, bounds, counts) of each window's histogram delta, for every step the window covers."""
    rows = reader.execute(
        f"""select h.host_id, h.subject_id, h.source, h.origin, h.bounds, h.counts, h.sum,
            w.end_s, w.start_s
        from histograms h
        join ({described_windows("instance", (), "subject_id = $id")}) w
            using (host_id, subject_id, epoch, sequence)
        where h.subject_id = $id and h.name = $name
        order by h.host_id, h.source, w.end_s""",
        {**_parameters(instance_id, steps), "name": name},
    ).fetchall()
    found = []
    before: HistogramEnd | None = None
    for host, subject, source, origin, bounds, counts, total, end_s, start_s in rows:
        key = (host, subject, "", 0)
        end = HistogramEnd(key, source, name, origin, bounds, counts, total, end_s, start_s)
        delta = histogram_delta(before, end)
        before = end
        if delta is not None and end_s > steps[0]:
            first, last = _covered(start_s, end_s, steps)
            found += [(step, delta.bounds, delta.counts) for step in range(first, last + 1)]
    return found


def _covered(start_s: float, end_s: float, steps: Steps) -> tuple[int, int]:
    """First and last step that a window covers."""
    last = int(np.ceil((end_s - steps[0]) / steps[2] - 1e-6)) - 1
    first = int(np.floor((start_s - steps[0]) / steps[2] + 1e-6))
    last = min(last, _step_count(steps) - 1)
    return max(0, min(first, last)), last


def _parts(rates: Mapping[str, Rate]) -> list[str]:
    names = [name for rate in rates.values() for name in (*rate.parts, rate.per) if name]
    return list(dict.fromkeys(names))


def _parameters(subject_id: str, steps: Steps) -> dict[str, Any]:
    return {"id": subject_id, "since": steps[0] - LOOKBACK_S, "until": steps[1]}


class _Spread:
    """Windows of one subject laid over even steps; a long window fills all steps it covers."""

    def __init__(self, table: Table, steps: Steps) -> None:
        self._length = _step_count(steps)
        begin, end = floats(table, "begin_s"), floats(table, "end_s")
        inside = np.flatnonzero(end > steps[0])
        covered = [_covered(begin[row], end[row], steps) for row in inside]
        counts = np.array([last - first + 1 for first, last in covered], dtype=np.int64)
        self._rows = np.repeat(inside, counts)
        self._steps = np.array(
            [step for first, last in covered for step in range(first, last + 1)], dtype=np.int64
        )
        self._weight = np.repeat(1.0 / np.maximum(counts, 1), counts)
        self._seconds = end - begin
        self._table = table

    def _summed(self, values: Floats) -> Floats:
        """Values shared out over the steps their windows cover; NaN where none has a value."""
        spread = values[self._rows] * self._weight
        seen = ~np.isnan(spread)
        sums = np.bincount(self._steps[seen], spread[seen], self._length)
        counted = np.bincount(self._steps[seen], minlength=self._length)
        return np.where(counted > 0, sums, np.nan)

    def rate(self, rate: Rate) -> Floats:
        """The parts' sum a second, or over the counter that is their denominator."""
        parts = np.vstack([floats(self._table, name) for name in rate.parts])
        seen = ~np.isnan(parts).all(axis=0)
        values = np.where(seen, np.nansum(parts, axis=0), np.nan)
        per = floats(self._table, rate.per) if rate.per else self._seconds
        per = np.where(seen, per, np.nan)
        return _divided(self._summed(values), self._summed(per))

    def level(self, name: str) -> Floats:
        """A level's mean, weighted by time."""
        values = floats(self._table, name)
        seconds = np.where(np.isnan(values), np.nan, self._seconds)
        return _divided(self._summed(values * seconds), self._summed(seconds))


def _divided(values: Floats, by: Floats) -> Floats:
    quotient = np.full(len(values), np.nan)
    np.divide(values, by, out=quotient, where=by > 0)
    return quotient
