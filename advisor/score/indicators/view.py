"""What an indicator looks at, and how a quantity becomes points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from advisor.score.attainable import Attainable
from advisor.score.result import Indicator
from advisor.score.scoring import SCORING
from advisor.score.situation import Situation


@dataclass(frozen=True)
class View:
    """One instance, what it could do, the software of its deployment's others, and the time."""

    situation: Situation
    attainable: Attainable | None
    peers: tuple[Situation, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class Kind:
    """What stays the same of an indicator: identity, unit, remedy, and the scale of its points."""

    id: str
    title: str
    unit: str
    remedy: str
    source: str
    worst: float
    best: float

    def of(self, value: float | None, reason: str, attainable: float | None = None) -> Indicator:
        """The indicator with this value; without one it has no points and says what is missing."""
        return Indicator(
            id=self.id,
            dimension=self.id.partition(".")[0],
            title=self.title,
            value=value,
            unit=self.unit,
            points=None if value is None else points(value, self.worst, self.best),
            attainable=self.best if attainable is None else attainable,
            reason=reason if value is not None else f"no data: needs {self.source}",
            remedy=self.remedy,
            source=self.source,
            critical=SCORING.indicators[self.id].critical,
        )


def points(value: float, worst: float, best: float) -> float:
    """Points 0..100, linear from `worst` to `best`, whichever of the two is larger."""
    return min(max((value - worst) / (best - worst), 0.0), 1.0) * 100.0
