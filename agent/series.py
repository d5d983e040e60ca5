"""What is kept of one signal between observations: a counter's origin, a level's integral.

Pure state; which signals are counters or levels and what is made of them is the window's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from agent.vocabulary import Histogram

ORIGIN_JITTER_S = 1.0
"""Two statements of one origin may differ by this much: boot times are whole seconds."""


@dataclass(slots=True)
class Counter:
    """A counter or a cumulative histogram as last seen, with the Unix time it began at, if known.

    `seconds` grows by the time between two values of one origin, however far apart: a counter loses
    nothing in a gap. `fresh` says that it was seen in the open window.
    """

    value: float | Histogram
    origin_s: float | None
    seen_s: float
    seconds: float = 0.0
    fresh: bool = True

    @classmethod
    def first(cls, value: float | Histogram, at_s: float, origin_s: float | None) -> Counter:
        """A counter seen for the first time."""
        return cls(value, None if origin_s is None else min(origin_s, at_s), at_s)

    @property
    def amount(self) -> float:
        """What only ever grows within an origin: the value, or how much a histogram has counted."""
        return _amount(self.value)

    def observe(self, value: float | Histogram, at_s: float, origin_s: float | None) -> None:
        """Take the next value. One that went back, or whose origin is younger, began anew."""
        since_s = self.seen_s
        if self._began_anew(value, origin_s):
            since_s = self._new_origin(at_s, origin_s)
            self.origin_s = since_s
        self.seconds += max(0.0, at_s - since_s)
        self.value = value
        self.seen_s = at_s
        self.fresh = True

    def _began_anew(self, value: float | Histogram, origin_s: float | None) -> bool:
        went_back = _amount(value) < self.amount
        return went_back or (origin_s is not None and origin_s > self.seen_s + ORIGIN_JITTER_S)

    def _new_origin(self, at_s: float, origin_s: float | None) -> float:
        """The origin given; the moment itself where none is, or the one that was is repeated."""
        known_s = self.origin_s
        is_repeated = (
            origin_s is not None
            and known_s is not None
            and abs(origin_s - known_s) <= ORIGIN_JITTER_S
        )
        return at_s if origin_s is None or is_repeated else min(origin_s, at_s)

    def snapshot(self) -> list[Any]:
        """The counter in JSON; of a histogram not seen in this window only the count is kept."""
        value: Any = self.value
        if isinstance(value, Histogram):
            bounds = [[None if math.isinf(b) else b, n] for b, n in value.buckets]
            value = {
                "buckets": bounds if self.fresh else [],
                "sum": value.sum,
                "count": value.count,
            }
        return [value, self.origin_s, self.seen_s, self.seconds, self.fresh]

    @classmethod
    def restore(cls, fields: list[Any]) -> Counter:
        """The counter that `snapshot` wrote."""
        value, *rest = fields
        if isinstance(value, dict):
            buckets = tuple((math.inf if b is None else b, n) for b, n in value["buckets"])
            value = Histogram(buckets, value["sum"], value["count"])
        return cls(value, *rest)


@dataclass(slots=True)
class Level:
    """A level with its integral over the time it was observed.

    Between two observations not further apart than the largest gap it is taken as a straight line;
    to the end of a window it is held. `from_s` is how far the integral reaches, so that no moment
    counts twice. The `base_*` are the totals when the window opened; `highest` is None until the
    level was seen in the window.
    """

    last: float
    last_s: float
    from_s: float
    integral: float = 0.0
    seconds: float = 0.0
    base_integral: float = 0.0
    base_seconds: float = 0.0
    highest: float | None = None

    @classmethod
    def first(cls, value: float, at_s: float) -> Level:
        """A level seen for the first time: nothing is known of the time before."""
        return cls(value, at_s, at_s, highest=value)

    def observe(self, value: float, at_s: float, max_gap_s: float) -> None:
        """Take the next value; after a gap, or when the clock went back, the line starts anew."""
        gap_s = at_s - self.last_s
        if at_s > self.from_s:
            if 0.0 < gap_s <= max_gap_s:
                self._add((self.last + value) / 2.0, at_s - self.from_s)
            self.from_s = at_s
        self.last = value
        self.last_s = at_s
        self.highest = value if self.highest is None else max(self.highest, value)

    def hold(self, end_s: float, max_gap_s: float) -> None:
        """Carry the last value to the end of the window, if it is not too old for that."""
        if self.from_s > end_s + max_gap_s:  # the clock went back: time before the end is new time
            self.from_s = end_s
        elif self.from_s < end_s and end_s - self.last_s <= max_gap_s:
            self._add(self.last, end_s - self.from_s)
            self.from_s = end_s

    def _add(self, value: float, seconds: float) -> None:
        self.integral += value * seconds
        self.seconds += seconds

    def mean(self) -> float:
        """The time-weighted mean over the window; the last value where no time was observed."""
        seconds = self.seconds - self.base_seconds
        return (self.integral - self.base_integral) / seconds if seconds > 0.0 else self.last

    def open_window(self) -> None:
        """Begin a window: totals so far become the base, nothing was seen yet."""
        self.base_integral = self.integral
        self.base_seconds = self.seconds
        self.highest = None

    def snapshot(self) -> list[Any]:
        """The level in JSON."""
        return [
            self.last, self.last_s, self.from_s, self.integral, self.seconds,
            self.base_integral, self.base_seconds, self.highest,
        ]  # fmt: skip

    @classmethod
    def restore(cls, fields: list[Any]) -> Level:
        """The level that `snapshot` wrote."""
        return cls(*fields)


def _amount(value: float | Histogram) -> float:
    return value.count if isinstance(value, Histogram) else value
