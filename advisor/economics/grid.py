"""GPU-seconds and prices of a fleet on a grid of GPUs and hours: what every cost line is cut from.

Total seconds are those a GPU was seen by its own telemetry or by a serving process on it; two
processes on one GPU share its time. An hour without telemetry has no seconds and no cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.catalog.gpus import GpuType
from advisor.catalog.prices import Price, price
from advisor.economics.lookup import Lookup
from advisor.summary import Fleet, Floats, Instance, InstanceHours


@dataclass(frozen=True)
class GpuGrid:
    """Seconds and USD/hour, shape (GPUs, hours). `usd_per_hour` is NaN where no price is known."""

    gpu_index: Mapping[str, int]
    hour_index: Mapping[np.datetime64, int]
    instances: Lookup
    host_id: NDArray[np.str_]
    total_s: Floats
    allocated_s: Floats
    active_s: Floats
    energy_j: Floats
    usd_per_hour: Floats
    labels: tuple[str, ...]

    @property
    def share(self) -> Floats:
        """What part of its claimed seconds a process gets where several claim one GPU."""
        crowded = self.allocated_s > self.total_s
        return np.divide(
            self.total_s, self.allocated_s, out=np.ones_like(self.total_s), where=crowded
        )


def busy_ratio(hours: InstanceHours, rows: NDArray[np.intp]) -> Floats:
    """Share of each row's time with requests running, shape (rows,); NaN where unobserved."""
    load_s = hours.load_time_s[rows]
    seconds, busy = np.nansum(load_s, axis=1), np.nansum(load_s[:, 1:], axis=1)
    ratio = np.divide(busy, seconds, out=np.full(seconds.shape, np.nan), where=seconds > 0)
    silent = np.isnan(ratio) & (hours.columns["running_time_s"][rows] == 0)
    return np.where(silent, 0.0, ratio)


def gpu_grid(fleet: Fleet, types: Mapping[str, GpuType | None], prices: Sequence[Price]) -> GpuGrid:
    """The grid of a fleet; `types` maps GPU ids to catalog entries, absent where unknown."""
    hosts = {gpu.id: gpu.host_id for gpu in fleet.gpus}
    for instance in fleet.instances:
        hosts |= {gpu: instance.host_id for gpu in instance.gpu_ids if gpu not in hosts}
    gpu_index = {gpu: i for i, gpu in enumerate(hosts)}
    every_hour = np.unique(np.concatenate([fleet.instance_hours.hour, fleet.gpu_hours.hour]))
    hour_index = {hour: i for i, hour in enumerate(every_hour)}
    observed, energy = _gpu_telemetry(fleet, gpu_index, hour_index)
    instances = Lookup(fleet.instance_hours.instance_id)
    claimed, longest, active = _claims(fleet, instances, gpu_index, hour_index)
    usd, labels = _prices(gpu_index, every_hour, types, prices)
    return GpuGrid(
        gpu_index=gpu_index,
        hour_index=hour_index,
        instances=instances,
        host_id=np.array(list(hosts.values()), dtype=np.str_),
        total_s=np.fmax(observed, longest),
        allocated_s=claimed,
        active_s=active,
        energy_j=energy,
        usd_per_hour=usd,
        labels=labels,
    )


def _gpu_telemetry(
    fleet: Fleet, gpu_index: Mapping[str, int], hour_index: Mapping[np.datetime64, int]
) -> tuple[Floats, Floats]:
    shape = (len(gpu_index), len(hour_index))
    observed, energy = np.zeros(shape), np.full(shape, np.nan)
    hours = fleet.gpu_hours
    known = np.array([gpu in gpu_index for gpu in hours.gpu_id.tolist()], dtype=bool)
    rows = [gpu_index[g] for g in hours.gpu_id[known].tolist()]
    at = [hour_index[h] for h in hours.hour[known]]
    seconds = np.fmax(hours.columns["power_observed_s"], hours.columns["activity_observed_s"])
    np.maximum.at(observed, (rows, at), np.nan_to_num(seconds[known]))
    energy[rows, at] = hours.columns["energy_j"][known]
    return observed, energy


def _claims(
    fleet: Fleet,
    instances: Lookup,
    gpu_index: Mapping[str, int],
    hour_index: Mapping[np.datetime64, int],
) -> tuple[Floats, Floats, Floats]:
    shape = (len(gpu_index), len(hour_index))
    claimed, longest, active = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    hours = fleet.instance_hours
    at = np.array([hour_index[h] for h in hours.hour], dtype=np.intp)
    seconds = np.nan_to_num(hours.columns["observed_s"])
    for instance in fleet.instances:
        mine = instances.rows(instance.id)
        busy_s = seconds[mine] * np.nan_to_num(busy_ratio(hours, mine))
        for gpu in instance.gpu_ids:
            row = gpu_index[gpu]
            np.add.at(claimed[row], at[mine], seconds[mine])
            np.add.at(active[row], at[mine], busy_s)
            together = np.zeros(shape[1])
            np.add.at(together, at[mine], seconds[mine])
            longest[row] = np.maximum(longest[row], together)
    return claimed, longest, active


def _prices(
    gpu_index: Mapping[str, int],
    every_hour: NDArray[np.datetime64],
    types: Mapping[str, GpuType | None],
    prices: Sequence[Price],
) -> tuple[Floats, tuple[str, ...]]:
    days, day_of_hour = np.unique(every_hour.astype("datetime64[D]"), return_inverse=True)
    labels = [""] * len(gpu_index)
    usd = np.full((len(gpu_index), len(every_hour)), np.nan)
    by_type: dict[str, tuple[Floats, str]] = {}
    for gpu, row in gpu_index.items():
        kind = types.get(gpu)
        if kind is None:
            continue
        if kind.id not in by_type:
            found = [price(kind.id, day.astype(object), prices) for day in days]
            daily = np.array([p.usd_per_gpu_hour if p else np.nan for p in found])
            last = next((p.label for p in reversed(found) if p), "")
            by_type[kind.id] = (daily[day_of_hour], last)
        usd[row], labels[row] = by_type[kind.id]
    return usd, tuple(labels)


def allocated_gpu_seconds(
    grid: GpuGrid, instance: Instance, hours: InstanceHours, rows: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """GPU-seconds and USD of one instance's rows, shape (rows,); USD is NaN without a price."""
    at = [grid.hour_index[h] for h in hours.hour[rows]]
    gpus = [grid.gpu_index[gpu] for gpu in instance.gpu_ids]
    seconds = np.nan_to_num(hours.columns["observed_s"][rows])
    held = grid.share[np.ix_(gpus, at)] * seconds
    paid = np.where(held > 0, held * grid.usd_per_hour[np.ix_(gpus, at)] / 3600.0, 0.0)
    return held.sum(axis=0), paid.sum(axis=0)
