"""Unix time that runs with the monotonic clock: setting the wall clock is no time that passed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Clock:
    """The time since some moment by the monotonic clock, that moment by the wall clock."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._began_s = wall() - monotonic()

    def now_s(self) -> float:
        """Unix seconds."""
        return self._began_s + self._monotonic()

    def next_boundary_s(self, window_s: float) -> float:
        """The end of the window that is open now, aligned to the epoch."""
        return (math.floor(self.now_s() / window_s) + 1) * window_s

    def settle(self) -> float:
        """Take over what the wall clock shows by now; return by how many seconds it had moved."""
        began_s = self._wall() - self._monotonic()
        moved_s = began_s - self._began_s
        self._began_s = began_s
        return moved_s
