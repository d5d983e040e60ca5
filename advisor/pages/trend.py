"""How figures move: change against the range before at matched load, and series for sparklines.

Pure over hourly summaries. Matched load: per instance and load bin, what a token costs now against
what it cost before, weighted by the tokens of now: a change of traffic is no change of efficiency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from advisor.summary import Floats, InstanceHours

LEAST_MATCHED = 0.5
"""A change is stated only where this share of the tokens of now has a matching bin before."""


@dataclass(frozen=True, slots=True)
class Change:
    """A relative change, and the share of the tokens of now that could be matched."""

    ratio: float
    matched: float


@dataclass(frozen=True, slots=True)
class Bins:
    """Sums by (instance, load bin): output tokens, GPU joules, GPU-seconds."""

    tokens: Mapping[tuple[str, int], float]
    joules: Mapping[tuple[str, int], float]
    gpu_seconds: Mapping[tuple[str, int], float]


def bins(hours: InstanceHours) -> Bins:
    """Sum the load-conditioned columns of each instance."""
    gpu_seconds = hours.load_time_s * hours.columns["gpu_count"][:, None]
    tables = (hours.load_output_tokens, hours.load_energy_j, gpu_seconds)
    sums: list[dict[tuple[str, int], float]] = [{}, {}, {}]
    for instance in np.unique(hours.instance_id):
        rows = hours.instance_id == instance
        for table, into in zip(tables, sums, strict=True):
            for at, total in enumerate(np.nansum(table[rows], axis=0)):
                into[str(instance), at] = float(total)
    return Bins(*sums)


def _matched(
    now: Bins,
    before: Bins,
    spent_now: Mapping[tuple[str, int], float],
    spent_before: Mapping[tuple[str, int], float],
) -> Change | None:
    paid = expected = matched = 0.0
    for key, tokens in now.tokens.items():
        earlier = before.tokens.get(key, 0.0)
        if tokens <= 0 or earlier <= 0 or spent_before[key] <= 0 or spent_now[key] <= 0:
            continue
        paid += spent_now[key]
        expected += tokens * spent_before[key] / earlier
        matched += tokens
    total = sum(now.tokens.values())
    if expected <= 0 or total <= 0 or matched / total < LEAST_MATCHED:
        return None
    return Change(paid / expected - 1, matched / total)


def joules_change(now: InstanceHours, before: InstanceHours) -> Change | None:
    """Change of J/output token at matched load; None where too little can be matched."""
    first, second = bins(now), bins(before)
    return _matched(first, second, first.joules, second.joules)


def usd_change(now: InstanceHours, before: InstanceHours) -> Change | None:
    """Change of GPU time a token, which is that of $/token at the same prices, at matched load."""
    first, second = bins(now), bins(before)
    return _matched(first, second, first.gpu_seconds, second.gpu_seconds)


def volume_change(now: InstanceHours, before: InstanceHours) -> Change | None:
    """Change of output tokens; None where the range before is not as fully observed."""
    observed = [float(np.nansum(h.columns["observed_s"])) for h in (now, before)]
    tokens = [float(np.nansum(h.columns["output_tokens"])) for h in (now, before)]
    if min(*tokens, *observed) <= 0 or observed[1] < 0.8 * observed[0]:
        return None
    return Change(tokens[0] / tokens[1] - 1, 1.0)


@dataclass(frozen=True, slots=True)
class Steps:
    """Sums of equal steps of time over chosen instances; a step without data is NaN."""

    tokens: Floats
    joules: Floats
    usd: Floats

    @property
    def joules_per_token(self) -> Floats:
        """J/output token of each step."""
        return _over(self.joules, self.tokens)

    @property
    def usd_per_million(self) -> Floats:
        """$/1M output tokens of each step."""
        return _over(self.usd, self.tokens) * 1e6


def _over(above: Floats, below: Floats) -> Floats:
    result = np.full(above.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def steps(
    hours: InstanceHours,
    usd_per_gpu_hour: Mapping[str, float],
    *,
    span: tuple[datetime, datetime],
    count: int,
    instances: frozenset[str] | None = None,
) -> Steps:
    """Divide `span` into `count` equal steps and sum each; prices are by instance.

    An hour that a step's edge cuts gives each side its part, so every step is as long as the next.
    """
    rows = np.ones(hours.hour.shape, dtype=bool)
    if instances is not None:
        rows = np.isin(hours.instance_id, sorted(instances))
    if not rows.any():
        empty = np.full(count, np.nan)
        return Steps(empty, empty, empty)
    each_hour, index = np.unique(hours.hour[rows].astype("datetime64[h]"), return_inverse=True)
    parts = _parts(each_hour.astype(np.int64), span, count)
    price = np.array([usd_per_gpu_hour.get(str(i), np.nan) for i in hours.instance_id[rows]])
    spent = price * gpu_hours(hours)[rows]
    columns = (hours.columns["output_tokens"][rows], hours.columns["gpu_energy_j"][rows], spent)
    return Steps(*(_sums(values, index, parts) for values in columns))


def gpu_hours(hours: InstanceHours) -> Floats:
    """GPU-hours observed in each row."""
    return hours.columns["gpu_count"] * hours.columns["observed_s"] / 3600


def _parts(each_hour: np.ndarray, span: tuple[datetime, datetime], count: int) -> Floats:
    """What part of each hour's time inside `span` lies in each step, shape (hours, count)."""
    start, end = (moment.timestamp() / 3600 for moment in span)
    edges = np.linspace(start, end, count + 1)
    begins, ends = np.maximum(each_hour, start)[:, None], np.minimum(each_hour + 1, end)[:, None]
    shared = np.minimum(ends, edges[1:]) - np.maximum(begins, edges[:-1])
    length = np.maximum(ends - begins, np.finfo(float).tiny)
    parts: Floats = np.maximum(shared, 0.0) / length
    return parts


def _sums(values: Floats, index: np.ndarray, parts: Floats) -> Floats:
    known = np.isfinite(values)
    size = len(parts)
    totals = np.bincount(index[known], weights=values[known], minlength=size)
    seen = np.bincount(index[known], minlength=size)
    return np.where((seen > 0) @ parts > 0, totals @ parts, np.nan)
