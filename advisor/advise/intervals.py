"""Arithmetic of positive intervals: ratios, independent errors, several estimates as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from advisor.performance.effect import Evidence, Interval

_HALF_WIDTH = 1.645
"""Standard deviations from the middle of a normal distribution to the end of a 90 % interval."""


def exactly(value: float, evidence: Evidence) -> Interval:
    """A value without a spread."""
    return Interval(value, value, value, evidence)


def weakest(*evidence: Evidence) -> Evidence:
    """The weakest of several kinds of evidence."""
    order = list(Evidence)
    return max(evidence, key=order.index)


def moved(interval: Interval, by: Callable[[float], float]) -> Interval:
    """The interval through a monotone function; the ends change places where it falls."""
    low, high = sorted((by(interval.low), by(interval.high)))
    return Interval(low, by(interval.expected), high, interval.evidence)


def over(interval: Interval, whole: float) -> Interval:
    """The interval divided by a number."""
    return moved(interval, lambda value: value / whole)


def quotient(top: Interval, bottom: Interval) -> Interval:
    """Top over bottom with independent errors: squares of logarithms add."""
    expected = top.expected / bottom.expected
    below = math.hypot(_log(top.expected, top.low), _log(bottom.high, bottom.expected))
    above = math.hypot(_log(top.high, top.expected), _log(bottom.expected, bottom.low))
    return Interval(
        expected * math.exp(-below),
        expected,
        expected * math.exp(above),
        weakest(top.evidence, bottom.evidence),
    )


def _log(high: float, low: float) -> float:
    return math.log(high / low)


def deviation(low: float, high: float) -> float:
    """The standard deviation of the logarithm behind a 90 % interval."""
    return math.log(high / low) / (2 * _HALF_WIDTH)


def pooled(estimates: Sequence[tuple[float, float]], evidence: Evidence) -> Interval:
    """One interval of independent estimates (expected, deviation of the logarithm).

    Each weighs by its inverse variance.
    """
    weights = [1 / spread**2 for _, spread in estimates]
    whole = sum(weights)
    logs = (w * math.log(value) for w, (value, _) in zip(weights, estimates, strict=True))
    middle = sum(logs) / whole
    half = _HALF_WIDTH / math.sqrt(whole)
    return Interval(math.exp(middle - half), math.exp(middle), math.exp(middle + half), evidence)


def total(intervals: Sequence[Interval], weights: Sequence[float] | None = None) -> Interval:
    """The sum, or with weights the weighted mean, of intervals whose errors go together."""
    parts = [1.0] * len(intervals) if weights is None else list(weights)
    whole = 1.0 if weights is None else sum(parts)
    return Interval(
        sum(w * i.low for w, i in zip(parts, intervals, strict=True)) / whole,
        sum(w * i.expected for w, i in zip(parts, intervals, strict=True)) / whole,
        sum(w * i.high for w, i in zip(parts, intervals, strict=True)) / whole,
        weakest(*(i.evidence for i in intervals)),
    )
