"""Quantiles of bucketed counts."""

from __future__ import annotations

import numpy as np

from advisor.summary import Floats


def quantile(bounds: Floats, counts: Floats, share: float) -> float:
    """The value below which `share` of the counts lie, linear inside a bucket; NaN without counts.

    `bounds` are upper bounds, the last infinite; `counts` are per bucket. Inside the open last
    bucket the answer is its lower bound, as Prometheus' histogram_quantile has it.
    """
    below = np.cumsum(counts)
    if not len(below) or not below[-1] > 0:
        return float("nan")
    rank = share * below[-1]
    at = int(np.searchsorted(below, rank, side="left"))
    low = bounds[at - 1] if at > 0 else 0.0
    if not np.isfinite(bounds[at]):
        return float(low)
    before = below[at - 1] if at > 0 else 0.0
    return float(low + (bounds[at] - low) * (rank - before) / counts[at])
