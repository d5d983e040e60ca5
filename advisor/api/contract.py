"""What REST, pages and report need of the advisor that serves them; a test hands in its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from advisor.assessment import Assessment
from advisor.store.windows import WindowStore
from advisor.summary import Fleet


@dataclass(frozen=True, slots=True)
class Life:
    """Where a recommendation stands: what people decided, and why."""

    state: str = "open"
    reason: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScoreMoment:
    """The total score of one target as it was at one assessment."""

    made_at: datetime
    kind: str
    id: str
    low: float
    high: float
    version: int


class State(Protocol):
    """What outlives an assessment: decisions about recommendations and the history of scores."""

    def lives(self) -> Mapping[str, Life]:
        """Every recommendation id with where it stands."""
        ...

    def move(self, recommendation_id: str, before: Life, after: Life) -> bool:
        """Replace `before` by `after`; False where it no longer stands as `before`."""
        ...

    def score_history(self, kind: str, target_id: str) -> Sequence[ScoreMoment]:
        """Scores of one target, oldest first."""
        ...

    def check(self) -> None:
        """Raise StoreError where the state cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: scopes by token (None: none are configured), and the hosts that are ours."""

    scopes_of: ScopesOf | None = None
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    secure_cookies: bool = False


class ScopesOf(Protocol):
    """Looks a token up."""

    def __call__(self, token: str) -> frozenset[str]:
        """The scopes of `token`; none where it is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class ReportAddress:
    """How the report names itself and where it points back to."""

    base_url: str = "http://127.0.0.1:8080"
    sender: str = "joulewise@localhost"
    recipients: tuple[str, ...] = ()
    list_id: str = "weekly.joulewise.localhost"


class Served(Protocol):
    """An advisor as the web sees it."""

    @property
    def assessment(self) -> Assessment | None:
        """The latest assessment, or None before the first."""
        ...

    @property
    def store(self) -> WindowStore:
        """Telemetry."""
        ...

    def refresh(self, now: datetime) -> Assessment | None:
        """Assess the fleet anew."""
        ...


def _assess(fleet: Fleet, now: datetime) -> Assessment:
    from advisor.assess import AssessSettings, assess

    return assess(fleet, AssessSettings(), now=now)


@dataclass(frozen=True)
class Backing:
    """Everything a request may touch, put together once when the app is made.

    `assessing` says what can be said of the fleet over a range other than the advisor's own.
    """

    advisor: Served
    state: State
    access: Access = field(default_factory=Access)
    report: ReportAddress = field(default_factory=ReportAddress)
    assessing: Callable[[Fleet, datetime], Assessment] = _assess
