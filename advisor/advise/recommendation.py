"""A recommendation: a rule that fired on a target, the change and its predicted effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from advisor.performance.effect import Interval

STATES = (
    "open",
    "accepted",
    "applied",
    "verifying",
    "realized",
    "no_effect",
    "regressed",
    "inconclusive",
    "snoozed",
    "dismissed",
    "expired",
    "superseded",
)


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One line of the diff: an exact flag or key of the engine there; None means not set."""

    key: str
    current: str | None
    proposed: str | None
    sets: str = "flag"  # flag | yaml | checkpoint | action


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One quantity now and as predicted, in the unit it is given in."""

    quantity: str
    unit: str
    now: float | None
    predicted: Interval


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate that was dropped, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """One piece of advice. `id` is a stable fingerprint of rule, target and proposed change.

    `cost_usd_per_month` and `energy_kwh_per_month` are changes: negative is a saving. `cash` is
    true where the saving reaches the bill by itself (a GPU-hour is released), else it is
    efficiency gained.
    """

    id: str
    rule_id: str
    rule_version: int
    lever: str  # precision | batch | parallelism | consolidation
    title: str
    target_kind: str
    target_id: str
    node_ids: tuple[str, ...]
    deployment: str | None
    change: tuple[FlagChange, ...]
    effects: tuple[EffectRow, ...]
    cost_usd_per_month: Interval | None
    energy_kwh_per_month: Interval | None
    cash: bool
    restart_needed: bool
    effort: str
    exclusive_group: str
    why: str
    diagnosis: str
    figures: Mapping[str, float] = field(default_factory=dict)
    quality_gate: str | None = None
    steps: tuple[str, ...] = ()
    rollback: str = ""
    considered: tuple[Considered, ...] = ()
    assumptions: Mapping[str, str] = field(default_factory=dict)
    rank: int = 0
    state: str = "open"
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    instance_ids: tuple[str, ...] = ()
