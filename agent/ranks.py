"""Readings of the ranks, workers and models of one engine page become readings of one instance.

Data ranks, workers and models share the work and are added; other ranks repeat it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from agent.vocabulary import RANK_ATTRIBUTES, Attributes, Histogram, Reading, attributes

MODEL = "gen_ai.request.model"
SHARING = (MODEL, "joulewise.rank.data", "joulewise.worker")
"""What sets of series share the work of an instance; the other rank attributes only repeat it."""
AVERAGED = frozenset(
    {"joulewise.engine.kv_cache.used", "joulewise.engine.flops", "joulewise.engine.memory_io"}
)
"""Shares of a pool that each data rank has of its own, and figures a GPU: their mean is meant."""

Value = float | Histogram
Parts = dict[tuple[str, ...], Value]


def merge_ranks(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """One reading a signal and its own attributes; a histogram keeps its model if all share it."""
    parts: dict[tuple[str, Attributes], Parts] = {}
    models: set[str] = set()
    for reading in readings:
        own, share = _split(reading.attributes)
        value = reading.value
        if isinstance(value, Histogram):
            models.add(share[0])
        shares = parts.setdefault((reading.signal, own), {})
        shares[share] = _fuller(shares[share], value) if share in shares else value
    model = models.pop() if len(models) == 1 else ""
    return tuple(
        Reading(signal, _with_model(own, model) if isinstance(value, Histogram) else own, value)
        for (signal, own), shares in parts.items()
        for value in _combined(signal, list(shares.values()))
    )


@lru_cache(maxsize=4096)
def _split(pairs: Attributes) -> tuple[Attributes, tuple[str, ...]]:
    named = dict(pairs)
    own = tuple(pair for pair in pairs if pair[0] not in RANK_ATTRIBUTES)
    return own, tuple(named.get(name, "") for name in SHARING)


@lru_cache(maxsize=4096)
def _with_model(own: Attributes, model: str) -> Attributes:
    return attributes({**dict(own), MODEL: model}) if model else own


def _fuller(one: Value, other: Value) -> Value:
    """Of two ranks that repeat one another, the one that has seen more."""
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        return one if one.count >= other.count else other
    if isinstance(one, Histogram) or isinstance(other, Histogram):
        return one
    return max(one, other)


def _combined(signal: str, values: list[Value]) -> list[Value]:
    """The parts as one value; none where histograms have different bounds and cannot be added."""
    if len(values) == 1:
        return values
    histograms = [value for value in values if isinstance(value, Histogram)]
    if histograms:
        return [_added(histograms)] if _same_bounds(histograms) else []
    numbers = [value for value in values if not isinstance(value, Histogram)]
    total = sum(numbers)
    return [total / len(numbers) if signal in AVERAGED else total]


def _same_bounds(histograms: list[Histogram]) -> bool:
    bounds = [tuple(bound for bound, _ in histogram.buckets) for histogram in histograms]
    return all(one == other for one, other in pairwise(bounds))


def _added(histograms: list[Histogram]) -> Histogram:
    columns = zip(*(histogram.buckets for histogram in histograms), strict=True)
    return Histogram(
        tuple((column[0][0], sum(count for _, count in column)) for column in columns),
        sum(histogram.sum for histogram in histograms),
        sum(histogram.count for histogram in histograms),
    )
