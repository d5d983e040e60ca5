"""What a change is predicted to bring: intervals with their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Evidence(StrEnum):
    """Where a figure comes from, from the firmest to the weakest."""

    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    EXTRAPOLATED = "extrapolated"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Interval:
    """A 90 % interval with its expected value, in the unit of the field that holds it."""

    low: float
    expected: float
    high: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Performance:
    """What an instance delivers: the whole instance's tokens/s, latency in seconds, watts a GPU.

    A quantity that cannot be stated is None. `bottleneck` is a word of the diagnosis; `basis` is
    "cold" or "observed"; `architectures` counts the architectures behind the intervals.
    """

    output_tokens_per_s: Interval
    ttft_s: Interval | None
    tpot_s: Interval
    power_w: Interval
    joules_per_output_token_gpu: Interval
    usd_per_million_output_tokens: Interval | None
    fits: bool
    max_concurrency: float
    bottleneck: str
    architectures: int
    basis: str
    notes: tuple[str, ...] = ()


QUANTITIES = (
    "output_tokens_per_s",
    "ttft_s",
    "tpot_s",
    "power_w",
    "joules_per_output_token_gpu",
    "usd_per_million_output_tokens",
)
"""The fields of Performance that hold an interval, in the order pages show them."""
