"""Load-conditioned counters: time, output tokens and GPU joules by how many requests were running.

Between two observations of an engine, what it made and what its GPUs used belongs to the bin of the
mean running requests. The joules are read off the GPUs' energy at those two moments, so a piece
waits for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field
from itertools import takewhile
from typing import Any

from agent.vocabulary import RUNNING_BINS, running_bin

KEPT_POINTS = 2
"""Energy points of a GPU that stay when no piece needs them: enough to read the next moment off."""


@dataclass(slots=True)
class EnergyMeter:
    """The recent energy of one GPU as one source counts it: rising times and joules."""

    source: str
    times_s: list[float] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)

    def record(self, source: str, at_s: float, joules: float, max_gap_s: float) -> None:
        """Add a point. A second source counts only once the first fell silent."""
        if source != self.source:
            if self.times_s and at_s - self.times_s[-1] <= max_gap_s:
                return
            self.source = source
            self._clear()
        if self.times_s and (at_s <= self.times_s[-1] or joules < self.joules[-1]):
            self._clear()
        self.times_s.append(at_s)
        self.joules.append(joules)

    def at(self, at_s: float, max_gap_s: float) -> float | None:
        """The joules at that moment, on the line between its neighbours; None if not known."""
        index = bisect_left(self.times_s, at_s)
        if index == len(self.times_s):
            return None
        if self.times_s[index] == at_s:
            return self.joules[index]
        if index == 0 or (gap_s := self.times_s[index] - self.times_s[index - 1]) > max_gap_s:
            return None
        step = (at_s - self.times_s[index - 1]) / gap_s
        return self.joules[index - 1] + step * (self.joules[index] - self.joules[index - 1])

    def forget(self, before_s: float) -> None:
        """Drop the points that no moment from `before_s` on needs."""
        needed = max(0, bisect_left(self.times_s, before_s) - 1)
        first = min(needed, max(0, len(self.times_s) - KEPT_POINTS))
        del self.times_s[:first], self.joules[:first]

    def snapshot(self) -> list[Any]:
        """The meter in JSON."""
        return [self.source, list(self.times_s), list(self.joules)]

    def _clear(self) -> None:
        self.times_s.clear()
        self.joules.clear()


@dataclass(frozen=True, slots=True)
class Moment:
    """An engine at one moment: requests running; output tokens and, once known, joules so far."""

    at_s: float
    running: float
    output_tokens: float
    joules: float | None = None


@dataclass(slots=True)
class Bin:
    """What was spent and made at one load."""

    seconds: float = 0.0
    output_tokens: float = 0.0
    joules: float = 0.0


NOTHING = Bin()


@dataclass(slots=True)
class LoadCurve:
    """One instance's bins, with the moments whose energy is not known yet.

    Once energy was known, a piece without it is left out whole, so that a bin's counters agree.
    """

    gpu_ids: tuple[str, ...] = ()
    bins: dict[int, Bin] = field(default_factory=dict)
    metered: bool = False
    previous: Moment | None = None
    waiting: list[Moment] = field(default_factory=list)

    def run_on(self, gpu_ids: tuple[str, ...]) -> None:
        """The instance runs on these GPUs; joules of others are no beginning for theirs."""
        if gpu_ids != self.gpu_ids:
            self.gpu_ids = gpu_ids
            self.previous = None
            self.waiting.clear()

    def observe(self, at_s: float, running: float, output_tokens: float) -> None:
        """Take the engine's next moment."""
        self.waiting.append(Moment(at_s, running, output_tokens))

    def settle(self, meters: Mapping[str, EnergyMeter], now_s: float, max_gap_s: float) -> None:
        """Count the pieces whose energy is known, or was waited for too long."""
        done = 0
        for moment in self.waiting:
            joules = self._joules(meters, moment.at_s, max_gap_s)
            if joules is None and self.gpu_ids and 0.0 <= now_s - moment.at_s <= max_gap_s:
                break
            done += 1
            self._count(
                Moment(moment.at_s, moment.running, moment.output_tokens, joules), max_gap_s
            )
        del self.waiting[:done]

    def oldest_needed_s(self, default: float) -> float:
        """The earliest moment whose energy is still asked for."""
        return self.waiting[0].at_s if self.waiting else default

    def _joules(
        self, meters: Mapping[str, EnergyMeter], at_s: float, max_gap_s: float
    ) -> float | None:
        total = 0.0
        for gpu_id in self.gpu_ids:
            meter = meters.get(gpu_id)
            joules = meter.at(at_s, max_gap_s) if meter else None
            if joules is None:
                return None
            total += joules
        return total if self.gpu_ids else None

    def _count(self, moment: Moment, max_gap_s: float) -> None:
        before, self.previous = self.previous, moment
        if before is None:
            return
        seconds = moment.at_s - before.at_s
        tokens = moment.output_tokens - before.output_tokens
        if not 0.0 < seconds <= max_gap_s or tokens < 0.0:
            return
        joules = _difference(before.joules, moment.joules)
        if joules is None and self.metered:
            return
        lower = running_bin((before.running + moment.running) / 2.0)
        piece = self.bins.setdefault(lower, Bin())
        piece.seconds += seconds
        piece.output_tokens += tokens
        if joules is not None:
            piece.joules += joules
            self.metered = True

    def points(self) -> Iterator[tuple[str, int, float]]:
        """(signal, lower bound of the bin, value) of each counter.

        Bins up to four times the highest load seen are there as zeros, so that whoever takes
        differences has seen a bin before its first piece.
        """
        if not self.bins:
            return
        highest = max(1, *self.bins)
        for lower in takewhile(lambda bound: bound <= 4 * highest, RUNNING_BINS):
            piece = self.bins.get(lower, NOTHING)
            yield "joulewise.load.time", lower, piece.seconds
            yield "joulewise.load.output_tokens", lower, piece.output_tokens
            if self.metered:
                yield "joulewise.load.energy", lower, piece.joules

    def snapshot(self) -> dict[str, Any]:
        """The curve in JSON."""
        return {
            "gpu_ids": list(self.gpu_ids),
            "bins": [[lower, *astuple(piece)] for lower, piece in self.bins.items()],
            "metered": self.metered,
            "previous": None if self.previous is None else astuple(self.previous),
            "waiting": [astuple(moment) for moment in self.waiting],
        }

    @classmethod
    def restore(cls, fields: dict[str, Any]) -> LoadCurve:
        """The curve that `snapshot` wrote."""
        previous = fields["previous"]
        return cls(
            tuple(fields["gpu_ids"]),
            {lower: Bin(*piece) for lower, *piece in fields["bins"]},
            fields["metered"],
            None if previous is None else Moment(*previous),
            [Moment(*moment) for moment in fields["waiting"]],
        )


def _difference(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or after < before:
        return None
    return after - before
