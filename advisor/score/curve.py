"""Response curves: what an instance delivers against running requests, from its own windows."""

from __future__ import annotations

import numpy as np

from advisor.assessment import CurvePoint, ResponseCurve
from advisor.score.histogram import mean, pool
from advisor.score.measure import Rows, highest
from advisor.summary import RUNNING_BINS, Floats, HourHistogram, Instance

LEAST_SECONDS = 60.0
"""A bin with less time behind it says nothing: one window's worth."""


def response_curve(rows: Rows, instance: Instance) -> ResponseCurve:
    """The curve of the live configuration, one point a power-of-two bin with time in it."""
    gpus = highest(rows.column("gpu_count"))
    points = (_point(rows, at, gpus) for at in range(1, len(RUNNING_BINS)))
    return ResponseCurve(
        instance.id, instance.config_digest, tuple(point for point in points if point)
    )


def _point(rows: Rows, at: int, gpus: float | None) -> CurvePoint | None:
    seconds = rows.hours.load_time_s[rows.index, at]
    spent = float(np.nansum(seconds))
    if spent < LEAST_SECONDS:
        return None
    tokens = float(np.nansum(rows.hours.load_output_tokens[rows.index, at]))
    energy = rows.hours.load_energy_j[rows.index, at]
    metered = float(np.nansum(np.where(np.isfinite(energy), seconds, 0.0)))
    watts = float(np.nansum(energy)) / metered / gpus if metered and gpus else None
    running, inside = _running(rows, at)
    return CurvePoint(
        running=running,
        output_tokens_per_s=tokens / spent,
        tpot_s=mean(pool(_histogram(rows, row) for row in inside)),
        power_w=watts,
        seconds=spent,
    )


def _running(rows: Rows, at: int) -> tuple[float, list[int]]:
    """Mean running requests of the hours that lie in the bin, and those hours.

    Without such an hour it is the bin's geometric middle.
    """
    low = float(RUNNING_BINS[at])
    busy_s = rows.column("observed_s") * rows.busy
    running_s = rows.column("running_time_s")
    level: Floats = np.divide(running_s, busy_s, out=np.zeros_like(busy_s), where=busy_s > 0)
    high = float(RUNNING_BINS[at + 1]) if at + 1 < len(RUNNING_BINS) else np.inf
    inside = np.flatnonzero((level >= low) & (level < high))
    if inside.size == 0:
        return low * 2**0.5, []
    return float(running_s[inside].sum() / busy_s[inside].sum()), inside.tolist()


def _histogram(rows: Rows, row: int) -> HourHistogram | None:
    column = rows.hours.histograms.get("tpot_s")
    return column[rows.index[row]] if column else None
