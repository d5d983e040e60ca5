"""What people may decide about a recommendation, and which decision may follow which state."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from advisor.api.contract import Life
from advisor.api.problem import ApiError

MAX_SNOOZE = timedelta(days=92)


class DismissReason(StrEnum):
    """Why advice is not followed."""

    NOT_APPLICABLE = "not_applicable"
    QUALITY_RISK = "quality_risk"
    LATENCY_SLO = "latency_slo"
    CAPACITY_RESERVE = "capacity_reserve"
    PLANNED_CHANGE = "planned_change"
    COST_OF_CHANGE = "cost_of_change"
    WRONG_DATA = "wrong_data"
    OTHER = "other"


MOVES = {
    "accept": ("accepted", ("open", "snoozed")),
    "snooze": ("snoozed", ("open", "accepted")),
    "dismiss": ("dismissed", ("open", "accepted", "snoozed")),
    "reopen": ("open", ("accepted", "snoozed", "dismissed")),
}
"""Verb: the state it leads to and the states it may leave."""


def possible(state: str) -> tuple[str, ...]:
    """The verbs that may be used on a recommendation in `state`."""
    return tuple(verb for verb, (_, sources) in MOVES.items() if state in sources)


def decide(
    verb: str,
    life: Life,
    now: datetime,
    *,
    reason: DismissReason | None = None,
    until: datetime | None = None,
) -> Life:
    """The life after `verb`. Raises ApiError: 409 where it cannot follow, 422 for a bad time."""
    after, sources = MOVES[verb]
    if life.state not in sources:
        allowed = ", ".join(possible(life.state)) or "nothing"
        raise ApiError(409, f"It is {life.state}; {verb} is not possible, {allowed} is.")
    if verb == "snooze":
        until = until or now + timedelta(days=7)
        if not now < until <= now + MAX_SNOOZE:
            raise ApiError(422, f"Snooze until a time in the next {MAX_SNOOZE.days} days.")
        return Life(after, None, until)
    if verb == "dismiss":
        return Life(after, (reason or DismissReason.OTHER).value, None)
    return Life(after)
