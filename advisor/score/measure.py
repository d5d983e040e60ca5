"""What one instance did over a range with the configuration it runs now: figures, not judgements.

Rates over time divide sums; a figure whose parts were not observed is None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.assessment import CostLine, Measured
from advisor.economics.grid import busy_ratio
from advisor.economics.lookup import Lookup
from advisor.score.histogram import mean, pool, quantile, share_within
from advisor.score.objective import Objective
from advisor.summary import Floats, HourHistogram, Instance, InstanceHours


@dataclass(frozen=True, slots=True)
class Workload:
    """What was asked of an instance, beyond the figures pages show. Ratios are of observed time."""

    hours: float
    saturated_sequences: float | None
    saturated_kv_cache: float | None
    waiting_while_saturated: float | None
    running_p95: float | None
    running_max: float | None
    tokens_per_s_p95: float | None
    prefix_hit_ratio: float | None
    preemptions_per_request: float | None
    tpot_mean_s: float | None
    tpot_p99_s: float | None
    input_p95_tokens: float | None
    output_p95_tokens: float | None


@dataclass(frozen=True)
class Rows:
    """The rows of one instance that its live configuration made."""

    hours: InstanceHours
    index: NDArray[np.intp]
    busy: Floats

    def column(self, name: str) -> Floats:
        """One column of these rows."""
        return self.hours.columns[name][self.index]

    def total(self, name: str) -> float | None:
        """The sum of a column where it was observed."""
        return total(self.column(name))

    def pooled(self, name: str) -> HourHistogram | None:
        """One histogram of these rows."""
        column = self.hours.histograms.get(name)
        return pool(column[i] for i in self.index) if column else None

    @property
    def observed_s(self) -> float:
        """Seconds the engine was observed."""
        return self.total("observed_s") or 0.0

    @property
    def busy_s(self) -> float | None:
        """Seconds with requests running."""
        return total(self.column("observed_s") * self.busy)


def rows_of(hours: InstanceHours, instance: Instance, lookup: Lookup | None = None) -> Rows:
    """The instance's rows under its live configuration digest."""
    every = (lookup or Lookup(hours.instance_id)).rows(instance.id)
    index = every[hours.config_digest[every] == instance.config_digest]
    return Rows(hours, index, busy_ratio(hours, index))


def total(values: Floats) -> float | None:
    """The sum of what was observed; None where nothing was."""
    return float(np.nansum(values)) if np.isfinite(values).any() else None


def highest(values: Floats) -> float | None:
    """The largest value observed."""
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def ratio(part: float | None, whole: float | None) -> float | None:
    """Part over whole; None where either is absent or the whole is nothing."""
    if part is None or not whole:
        return None
    return part / whole


def measure(
    rows: Rows, instance: Instance, objective: Objective, cost: CostLine | None
) -> Measured:
    """Figures of an instance; rates in dollars and joules come from its cost line."""
    observed_s, busy_s = rows.observed_s, rows.busy_s
    requests = rows.total("requests")
    running = rows.total("running_time_s")
    ttft, tpot = rows.pooled("ttft_s"), _time_per_token(rows)
    busy_power, idle_power = _power_by_load(rows)
    return Measured(
        instance_id=instance.id,
        observed_s=observed_s,
        output_tokens_per_s=ratio(rows.total("output_tokens"), observed_s),
        busy_output_tokens_per_s=_busy_tokens_per_s(rows),
        running_mean=ratio(running, observed_s),
        running_mean_busy=ratio(running, busy_s),
        waiting_mean=ratio(rows.total("waiting_time_s"), observed_s),
        busy_ratio=ratio(busy_s, observed_s),
        saturated_ratio=_saturated(rows),
        kv_used_mean=ratio(rows.total("kv_used_time_s"), observed_s),
        kv_used_max=highest(rows.column("kv_used_max")),
        input_tokens_mean=_mean_length(rows, "input_tokens", requests),
        output_tokens_mean=_mean_length(rows, "output_tokens", requests),
        requests_per_s=ratio(requests, observed_s),
        ttft_p50_s=quantile(ttft, 0.50),
        ttft_p95_s=quantile(ttft, 0.95),
        tpot_p50_s=quantile(tpot, 0.50),
        tpot_p95_s=quantile(tpot, 0.95),
        slo_ratio=_slo_ratio(ttft, tpot, objective),
        power_w=ratio(rows.total("gpu_energy_j"), rows.total("gpu_observed_s")),
        busy_power_w=busy_power,
        idle_power_w=idle_power,
        joules_per_output_token_gpu=cost.joules_per_output_token_gpu if cost else None,
        usd_per_million_output_tokens=cost.usd_per_million_output_tokens if cost else None,
    )


def workload(rows: Rows) -> Workload:
    """What was asked of an instance over its rows."""
    observed = rows.column("observed_s")
    busy_s = observed * rows.busy
    saturated = _saturated_seconds(rows)
    return Workload(
        hours=rows.observed_s / 3600.0,
        saturated_sequences=_saturated_by(rows, "saturated_sequences_s"),
        saturated_kv_cache=_saturated_by(rows, "saturated_kv_cache_s"),
        waiting_while_saturated=ratio(rows.total("waiting_time_s"), saturated),
        running_p95=_percentile(_over(rows.column("running_time_s"), busy_s), busy_s),
        running_max=highest(rows.column("running_max")),
        tokens_per_s_p95=_percentile(_over(rows.column("output_tokens"), busy_s), busy_s),
        prefix_hit_ratio=ratio(rows.total("prefix_hits"), rows.total("prefix_queries")),
        preemptions_per_request=ratio(rows.total("preemptions"), rows.total("requests")),
        tpot_mean_s=mean(_time_per_token(rows)),
        tpot_p99_s=quantile(_time_per_token(rows), 0.99),
        input_p95_tokens=quantile(rows.pooled("input_tokens"), 0.95),
        output_p95_tokens=quantile(rows.pooled("output_tokens"), 0.95),
    )


def _time_per_token(rows: Rows) -> HourHistogram | None:
    return rows.pooled("tpot_s") or rows.pooled("inter_token_s")


def _busy_tokens_per_s(rows: Rows) -> float | None:
    seconds = np.nansum(rows.hours.load_time_s[rows.index, 1:])
    tokens = np.nansum(rows.hours.load_output_tokens[rows.index, 1:])
    if seconds > 0:
        return float(tokens / seconds)
    return ratio(rows.total("output_tokens"), rows.busy_s)


def _power_by_load(rows: Rows) -> tuple[float | None, float | None]:
    """Watts a GPU while requests run and while none do."""
    gpus = highest(rows.column("gpu_count"))
    energy = rows.hours.load_energy_j[rows.index]
    seconds = np.where(np.isfinite(energy), rows.hours.load_time_s[rows.index], 0.0)
    if not gpus:
        return None, None
    busy = ratio(total(energy[:, 1:]), float(np.nansum(seconds[:, 1:])) * gpus)
    return busy, ratio(total(energy[:, :1]), float(np.nansum(seconds[:, :1])) * gpus)


def _saturated_seconds(rows: Rows) -> float | None:
    names = ("saturated_sequences_s", "saturated_kv_cache_s", "saturated_unknown_s")
    seconds = [value for name in names if (value := rows.total(name)) is not None]
    return sum(seconds) if seconds else None


def _saturated_by(rows: Rows, name: str) -> float | None:
    """Time one limit held requests back: 0 where only others did, they are one signal."""
    if _saturated_seconds(rows) is None:
        return None
    return ratio(rows.total(name) or 0.0, rows.observed_s)


def _saturated(rows: Rows) -> float | None:
    share = ratio(_saturated_seconds(rows), rows.observed_s)
    return None if share is None else min(share, 1.0)


def _mean_length(rows: Rows, name: str, requests: float | None) -> float | None:
    length = mean(rows.pooled(name))
    return length if length is not None else ratio(rows.total(name), requests)


def _slo_ratio(
    ttft: HourHistogram | None, tpot: HourHistogram | None, objective: Objective
) -> float | None:
    """Share inside the tighter of both limits: the two are not seen request by request."""
    first = share_within(ttft, objective.ttft_p95_s)
    each = share_within(tpot, objective.tpot_p95_s)
    return None if first is None or each is None else min(first, each)


def _over(part: Floats, whole: Floats) -> Floats:
    quotient: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return quotient


def _percentile(values: Floats, weights: Floats, q: float = 0.95) -> float | None:
    """The weighted percentile of hourly values."""
    kept = np.isfinite(values) & (weights > 0)
    if not kept.any():
        return None
    order = np.argsort(values[kept])
    below = np.cumsum(weights[kept][order])
    return float(values[kept][order][np.searchsorted(below, q * below[-1])])
