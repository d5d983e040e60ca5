"""The weekly run: makes the report, puts a mail for each recipient into the outbox, sends it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlmodel import Session

from advisor.api.contract import Backing
from advisor.api.ranges import Ranges
from advisor.errors import AdvisorError
from advisor.report.deliver import send_due, transport
from advisor.report.message import message
from advisor.report.weekly import WeeklyReport, weekly_report
from advisor.settings import Report
from advisor.store import outbox

log = logging.getLogger("joulewise.report")


def report_now(backing: Backing) -> WeeklyReport:
    """The report on the week up to the latest assessment.

    Raises:
        AdvisorError: nothing has been assessed yet.
    """
    ranged = Ranges(backing.advisor, backing.assessing)
    assessment = ranged.over("7d")
    if assessment is None:
        raise AdvisorError("making the weekly report: nothing has been assessed yet")
    history = backing.state.score_history("fleet", "fleet")
    before = ranged.before(assessment)
    return weekly_report(assessment, backing.state.lives(), history, before, backing.report)


def enqueue_report(backing: Backing, engine: Engine, now: datetime) -> int:
    """Put the report of this week into the outbox for every recipient that has none; how many."""
    report = report_now(backing)
    added = 0
    for recipient in backing.report.recipients:
        mail = message(report, recipient, backing.report, date=now)
        with Session(engine) as session:
            added += outbox.enqueue(
                session, report.id, recipient, report.subject, mail.as_bytes(), now=now
            )
    return added


def send_weekly(backing: Backing, engine: Engine, settings: Report, now: datetime) -> None:
    """What the schedule runs once a week. Without recipients there is nothing to do."""
    if not settings.recipients:
        return
    to = transport(settings)
    added = enqueue_report(backing, engine, now)
    counts = send_due(engine, to, lambda: datetime.now(UTC))
    log.info("weekly report enqueued=%d sent=%d", added, counts["sent"])
