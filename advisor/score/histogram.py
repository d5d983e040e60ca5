"""Quantiles, shares and means of hourly histograms pooled over a range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from advisor.summary import HourHistogram


def pool(histograms: Iterable[HourHistogram | None]) -> HourHistogram | None:
    """One histogram of many hours. Where bounds changed, the bounds with most counts are kept."""
    by_bounds: dict[tuple[float, ...], list[HourHistogram]] = defaultdict(list)
    for histogram in histograms:
        if histogram is not None and histogram.counts.sum() > 0:
            by_bounds[tuple(histogram.bounds.tolist())].append(histogram)
    if not by_bounds:
        return None
    kept = max(by_bounds.values(), key=lambda rows: sum(float(h.counts.sum()) for h in rows))
    counts = np.sum([h.counts for h in kept], axis=0)
    return HourHistogram(kept[0].bounds, counts, float(sum(h.sum for h in kept)))


def mean(histogram: HourHistogram | None) -> float | None:
    """Sum over count."""
    return None if histogram is None else float(histogram.sum / histogram.counts.sum())


def quantile(histogram: HourHistogram | None, q: float) -> float | None:
    """The value below which a share `q` lies, linear inside its bucket.

    In the last, open bucket it is the bucket's lower bound: the least it can be.
    """
    if histogram is None:
        return None
    below = np.cumsum(histogram.counts)
    index = int(np.searchsorted(below, q * below[-1]))
    low = float(histogram.bounds[index - 1]) if index else 0.0
    high = float(histogram.bounds[index])
    inside = float(histogram.counts[index])
    if not np.isfinite(high) or inside == 0:
        return low
    return low + (high - low) * (q * float(below[-1]) - float(below[index] - inside)) / inside


def share_within(histogram: HourHistogram | None, limit: float | None) -> float | None:
    """The share at or below `limit`, linear inside its bucket; None without either."""
    if histogram is None or limit is None:
        return None
    edges = np.concatenate([[0.0], histogram.bounds])
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    finite = np.isfinite(edges)
    return float(np.interp(limit, edges[finite], below[finite]) / below[-1])
