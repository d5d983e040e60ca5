"""Which runs of which jobs were done: a missed one happens once, late, by one advisor only."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from advisor.store.models import JobRunRow


def claim_run(session: Session, job: str, period: str, now: datetime, *, lease: timedelta) -> bool:
    """Whether this caller is to run `job` for `period`: nobody did, and nobody holds a lease.

    A run whose lease ended undone is given out again.
    """
    session.add(JobRunRow(job=job, period=period, lease_until=now + lease))
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
    else:
        return True
    table = JobRunRow
    changed = session.connection().execute(
        update(table)
        .where(
            col(table.job) == job,
            col(table.period) == period,
            col(table.done_at).is_(None),
            col(table.lease_until) < now,
        )
        .values(lease_until=now + lease)
    )
    session.commit()
    return changed.rowcount == 1


def begin_job(session: Session, job: str, period: str, now: datetime) -> bool:
    """Where a job is seen for the first time, count the period it is in as done; whether it was.

    What was due before there was an advisor was not missed.
    """
    seen = session.exec(select(JobRunRow.id).where(JobRunRow.job == job).limit(1)).first()
    if seen is not None or not claim_run(session, job, period, now, lease=timedelta(0)):
        return False
    finish_run(session, job, period, now)
    return True


def finish_run(session: Session, job: str, period: str, now: datetime) -> None:
    """The run is done and never given out again."""
    _set(session, job, period, {"done_at": now})


def release_run(session: Session, job: str, period: str, now: datetime) -> None:
    """The run failed: give it out again from now on."""
    _set(session, job, period, {"lease_until": now})


def _set(session: Session, job: str, period: str, figures: dict[str, object]) -> None:
    table = JobRunRow
    session.connection().execute(
        update(table).where(col(table.job) == job, col(table.period) == period).values(**figures)
    )
    session.commit()
