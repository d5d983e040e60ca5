"""GPUs of this node, in base units, behind a seam that a simulator can take the place of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.vocabulary import Reading


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at this moment. `origin_s`: the Unix time its counters began at, None if unknown."""

    uuid: str
    readings: tuple[Reading, ...]
    origin_s: float | None = None


class GpuSource(Protocol):
    """Whatever can read GPUs.

    Counters as they stand, levels as they are: energy in J, power in W, activity 0..1, clocks in
    Hz. Every reading may carry `hw.id`; windows add it where it is missing.
    """

    def read(self) -> Sequence[GpuReading]:
        """Every GPU that answers.

        Raises:
            NoData: none can be read; the message says why.
        """
        ...
