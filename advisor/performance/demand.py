"""How many requests an instance holds when it serves a given rate: the open loop to predict."""

from __future__ import annotations

from advisor.performance.configuration import Configuration, Load
from advisor.performance.fit import Fit
from advisor.performance.predict import point

_STEPS = 24
"""Halvings of the logarithm between one request and the limit: exact to a part in a million."""


def concurrency_at(
    configuration: Configuration, requests_per_s: float, load: Load, fit: Fit
) -> float | None:
    """Requests in flight at which this rate is served; None where the instance cannot serve it.

    Lengths and prefix hits are the load's, its concurrency is not read. By Little's law the rate is
    concurrency over time in the engine, which rises with concurrency.
    """
    if requests_per_s <= 0:
        return 0.0

    def served(concurrency: float) -> float:
        asked = Load(concurrency, load.input_tokens, load.output_tokens, load.prefix_hit_ratio)
        return point(configuration, asked, fit).steady.output_tokens_per_s / load.output_tokens

    low, high = 1.0, point(configuration, load, fit).limit
    if served(high) < requests_per_s:
        return None
    if served(low) >= requests_per_s:
        return requests_per_s / served(low)
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if served(middle) < requests_per_s else (low, middle)
    return high
