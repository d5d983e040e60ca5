"""The state of a set of GPUs over a range: clocks held back, activity, errors, telemetry seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from advisor.economics.lookup import Lookup
from advisor.score.measure import highest, ratio, total
from advisor.summary import Floats, GpuHours


@dataclass(frozen=True, slots=True)
class Health:
    """Ratios are of the seconds observed; activity as the counters of the part report it."""

    gpus: int
    observed_s: float
    utilization: float | None
    engine_active: float | None
    sm_active: float | None
    tensor_active: float | None
    dram_active: float | None
    throttle_power: float | None
    throttle_thermal: float | None
    throttle_other: float | None
    xid_errors: float | None
    ecc_uncorrected: float | None
    row_remaps_failed: float | None
    nvlink_errors: float | None
    power_w: float | None
    power_spread: float | None
    power_limit_w: float | None


def health(hours: GpuHours, gpu_ids: Collection[str], lookup: Lookup | None = None) -> Health:
    """The state of these GPUs together."""
    mine = (lookup or Lookup(hours.gpu_id)).rows(*gpu_ids)
    columns = {name: values[mine] for name, values in hours.columns.items()}
    power_s, activity_s = columns["power_observed_s"], columns["activity_observed_s"]
    return Health(
        gpus=len(gpu_ids),
        observed_s=float(np.nansum(np.fmax(power_s, activity_s))),
        utilization=_mean(columns["utilization"]),
        engine_active=_share(columns["engine_active_s"], activity_s),
        sm_active=_share(columns["sm_active_s"], activity_s),
        tensor_active=_share(columns["tensor_active_s"], activity_s),
        dram_active=_share(columns["dram_active_s"], activity_s),
        throttle_power=_share(columns["throttle_power_s"], power_s),
        throttle_thermal=_share(columns["throttle_thermal_s"], power_s),
        throttle_other=_share(columns["throttle_other_s"], power_s),
        xid_errors=total(columns["xid_errors"]),
        ecc_uncorrected=total(columns["ecc_uncorrected"]),
        row_remaps_failed=highest(columns["row_remaps_failed"]),
        nvlink_errors=total(columns["nvlink_errors"]),
        power_w=ratio(total(columns["energy_j"]), total(power_s)),
        power_spread=_spread(hours.gpu_id[mine].tolist(), columns["energy_j"], power_s),
        power_limit_w=highest(columns["power_limit_w"]),
    )


def _mean(values: Floats) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _share(part: Floats, whole: Floats) -> float | None:
    """Part over the seconds of those rows that have the part; other rows saw nothing of it."""
    seen = np.isfinite(part)
    return ratio(total(part), total(whole[seen]))


def _spread(ids: list[str], energy_j: Floats, seconds: Floats) -> float | None:
    """Difference of the highest and lowest mean draw over their mean; None for fewer than two."""
    watts = []
    names = np.array(ids)
    for gpu in dict.fromkeys(ids):
        mean = ratio(total(energy_j[names == gpu]), total(seconds[names == gpu]))
        if mean is not None:
            watts.append(mean)
    if len(watts) < 2:
        return None
    return ratio(max(watts) - min(watts), sum(watts) / len(watts))
