"""What clients ask of an instance over a week: arrivals, bounded users, lengths of requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Protocol

LENGTH_LIMITED = 0.1
"""Share of answers cut at their length limit."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Arrivals at one moment: a Poisson rate, or users who think `think_s` before asking again."""

    rate_per_s: float = 0.0
    users: int | None = None
    think_s: float = 1.0

    def rate(self, in_system: int) -> float:
        """Requests/s while `in_system` requests run or wait."""
        if self.users is None:
            return self.rate_per_s
        return max(self.users - in_system, 0) / self.think_s


class Demand(Protocol):
    """Arrivals at any Unix time."""

    def at(self, at_s: float) -> Arrivals:
        """Arrivals at Unix time `at_s`."""
        ...


@dataclass(frozen=True, slots=True)
class Week:
    """A week in UTC: a cosine of the day with its peak at `peak_hour`, scaled at weekends."""

    swing: float = 0.3
    weekend: float = 0.8
    peak_hour: float = 15.0

    def level(self, at_s: float) -> float:
        """The level at Unix time `at_s`; a working day has mean 1."""
        moment = datetime.fromtimestamp(at_s, UTC)
        hour = moment.hour + moment.minute / 60
        level = 1 + self.swing * math.cos(2 * math.pi * (hour - self.peak_hour) / 24)
        return level * (self.weekend if moment.weekday() >= 5 else 1.0)


@dataclass(frozen=True, slots=True)
class OpenDemand:
    """Requests that come whatever the queue: `requests_per_s` on a working day's mean."""

    requests_per_s: float
    week: Week = Week()

    def at(self, at_s: float) -> Arrivals:
        """A Poisson rate."""
        return Arrivals(rate_per_s=self.requests_per_s * self.week.level(at_s))


@dataclass(frozen=True, slots=True)
class ClosedDemand:
    """Users who wait for their answer, think and ask again; the queue is bounded by them."""

    users: int
    think_s: float
    week: Week = Week()

    def at(self, at_s: float) -> Arrivals:
        """Bounded users."""
        return Arrivals(users=round(self.users * self.week.level(at_s)), think_s=self.think_s)


@dataclass(frozen=True, slots=True)
class HourlyBurst:
    """A model that is held all week and asked for one hour of each working day."""

    requests_per_s: float
    hour: int = 9

    def at(self, at_s: float) -> Arrivals:
        """The rate inside the hour, nothing outside it."""
        moment = datetime.fromtimestamp(at_s, UTC)
        asked = moment.weekday() < 5 and moment.hour == self.hour
        return Arrivals(rate_per_s=self.requests_per_s if asked else 0.0)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lognormal lengths by mean (tokens) and sigma of the logarithm."""

    input_mean: float
    output_mean: float
    input_sigma: float = 0.6
    output_sigma: float = 0.5

    @property
    def held_mean(self) -> float:
        """Tokens a running request holds in the KV cache on average.

        Its prompt and half of its answer, long answers counted by the time they stay.
        """
        return self.input_mean + self.output_mean * math.exp(self.output_sigma**2) / 2

    def draw(self, random: Random) -> tuple[int, int]:
        """Input and output tokens of one request, at least 1 and 2."""
        inputs = _lognormal(random, self.input_mean, self.input_sigma)
        outputs = _lognormal(random, self.output_mean, self.output_sigma)
        return max(round(inputs), 1), max(round(outputs), 2)


def _lognormal(random: Random, mean: float, sigma: float) -> float:
    return random.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)
