"""Mails on their way: one a report and recipient, claimed with a lease, never sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from advisor.errors import StoreError
from advisor.store.models import OutboxRow

MAX_ATTEMPTS = 10
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail that this process, and no other, may send until the lease ends."""

    id: int
    report_id: str
    recipient: str
    subject: str
    message: bytes
    attempts: int


def enqueue(
    session: Session,
    report_id: str,
    recipient: str,
    subject: str,
    message: bytes,
    *,
    now: datetime,
) -> bool:
    """Put a mail in; False if this report already has one for this recipient."""
    session.add(
        OutboxRow(
            report_id=report_id,
            recipient=recipient,
            subject=subject,
            message=message,
            next_try=now,
        )
    )
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        return False
    return True


def claim_due(
    session: Session, now: datetime, *, lease: timedelta = timedelta(minutes=10), limit: int = 20
) -> Sequence[Outgoing]:
    """Take what is due. Each mail goes to one caller, whichever process asks.

    A mail whose lease ended without an answer may have been sent: it becomes `uncertain` and is not
    taken again, because twice is worse than a person asking the server's log.
    """
    table = OutboxRow
    session.connection().execute(
        update(table)
        .where(col(table.state) == "sending", col(table.lease_until) < now)
        .values(state="uncertain", error="the advisor stopped while sending")
    )
    due = session.exec(
        select(table.id)
        .where(col(table.state) == "waiting", col(table.next_try) <= now)
        .order_by(col(table.next_try), col(table.id))
        .limit(limit)
    ).all()
    taken = [one for one in due if one is not None and _take(session, one, now + lease)]
    session.commit()
    rows = session.exec(select(table).where(col(table.id).in_(taken)).order_by(col(table.id))).all()
    return [_outgoing(row) for row in rows]


def _take(session: Session, outbox_id: int, lease_until: datetime) -> bool:
    table = OutboxRow
    changed = session.connection().execute(
        update(table)
        .where(col(table.id) == outbox_id, col(table.state) == "waiting")
        .values(state="sending", lease_until=lease_until, attempts=table.attempts + 1)
    )
    return changed.rowcount == 1


def _outgoing(row: OutboxRow) -> Outgoing:
    if row.id is None:
        raise StoreError("the outbox gave a mail without an id")
    return Outgoing(row.id, row.report_id, row.recipient, row.subject, row.message, row.attempts)


def mark_sent(session: Session, outbox_id: int, now: datetime) -> None:
    """The server took it."""
    _settle(session, outbox_id, {"state": "sent", "sent_at": now, "error": None})


def mark_failed(session: Session, outbox_id: int, error: str, now: datetime) -> None:
    """The server surely did not take it: again later, or never after MAX_ATTEMPTS."""
    row = session.get_one(OutboxRow, outbox_id)
    if row.attempts >= MAX_ATTEMPTS:
        _settle(session, outbox_id, {"state": "given_up", "error": error})
        return
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** max(0, row.attempts - 1))
    _settle(session, outbox_id, {"state": "waiting", "error": error, "next_try": now + wait})


def mark_uncertain(session: Session, outbox_id: int, error: str) -> None:
    """The server may have taken it: it is not sent again by itself."""
    _settle(session, outbox_id, {"state": "uncertain", "error": error})


def _settle(session: Session, outbox_id: int, figures: dict[str, object]) -> None:
    table = OutboxRow
    session.connection().execute(
        update(table)
        .where(col(table.id) == outbox_id, col(table.state) == "sending")
        .values(lease_until=None, **figures)
    )
    session.commit()


def unsettled(session: Session) -> Sequence[tuple[str, str, str, str | None]]:
    """(report, recipient, state, error) of every mail that was not sent, for people to look at."""
    query = select(OutboxRow).where(
        or_(col(OutboxRow.state) != "sent", col(OutboxRow.error).is_not(None))
    )
    return [(r.report_id, r.recipient, r.state, r.error) for r in session.exec(query).all()]


def mark_refused(session: Session, outbox_id: int, error: str) -> None:
    """The server said no for good: it is never sent."""
    _settle(session, outbox_id, {"state": "given_up", "error": error})
