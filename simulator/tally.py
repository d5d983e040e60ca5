"""What a serving engine counts, with its own buckets, and what it shows at one moment."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Buckets of vLLM 0.33, which TensorRT-LLM shares for latency, first-token and per-token times.
_LATENCY = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_PER_TOKEN = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5),
    *(10.0, 20.0, 40.0, 80.0),
)
_STEP_TOKENS = (1.0, 8.0, *(float(2**power) for power in range(4, 15)))
_REQUEST_TOKENS = tuple(
    float(digit * 10**power)
    for power in range(6)
    for digit in (1, 2, 5)
    if digit * 10**power <= 1e5
)
BUCKETS: dict[str, tuple[float, ...]] = {
    "first_token": _FIRST_TOKEN,
    "inter_token": _PER_TOKEN,
    "per_token": _PER_TOKEN,
    "end_to_end": _LATENCY,
    "queue": _LATENCY,
    "inference": _LATENCY,
    "prefill": _LATENCY,
    "decode": _LATENCY,
    "input_tokens": _REQUEST_TOKENS,
    "output_tokens": _REQUEST_TOKENS,
    "step_tokens": _STEP_TOKENS,
}
"""Finite upper bounds by histogram, in seconds or tokens."""

NAMES = tuple(BUCKETS)
SLICES: dict[str, slice] = {}
SIZE = 0
for _name, _bounds in BUCKETS.items():
    SLICES[_name] = slice(SIZE, SIZE + len(_bounds) + 1)
    SIZE += len(_bounds) + 1

SCALARS = (
    "input_tokens",
    "output_tokens",
    "arrived",
    "finished_stop",
    "finished_length",
    "preemptions",
    "energy_j",
    "busy_s",
)
"""Plain counters; `energy_j` is of one GPU of the instance."""


@dataclass(slots=True)
class Tally:
    """Counters since the engine started; `counts` are per bucket, all histograms in a row."""

    scalars: dict[str, float]
    counts: Floats
    sums: dict[str, float]

    @classmethod
    def empty(cls) -> Tally:
        """A freshly started engine."""
        return cls(dict.fromkeys(SCALARS, 0.0), np.zeros(SIZE), dict.fromkeys(NAMES, 0.0))

    def observe(self, name: str, value: float, weight: float = 1.0) -> None:
        """Count one value of a histogram, `weight` times."""
        self.counts[SLICES[name].start + bisect_left(BUCKETS[name], value)] += weight
        self.sums[name] += value * weight

    def cumulative(self, name: str) -> list[int]:
        """Whole counts at or below each bound, the last of all."""
        whole: list[int] = (
            np.floor(np.cumsum(self.counts[SLICES[name]]) + 1e-6).astype(int).tolist()
        )
        return whole


@dataclass(frozen=True, slots=True)
class Levels:
    """What an engine shows at one moment; `power_w` is of one GPU of the instance."""

    running: int
    waiting: int
    kv_used: float
    power_w: float
