"""What happens by the clock: assessments every few minutes, the weekly report once a week.

APScheduler keeps time in memory. Of a job with periods the state's job_run decides, so that a run
missed by a stopped advisor happens once, late, by one advisor only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import Engine
from sqlmodel import Session

from advisor.settings import WEEKDAYS, Report, Settings
from advisor.store.jobs import begin_job, claim_run, finish_run, release_run

log = logging.getLogger("joulewise.advisor")

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Job:
    """Work by the clock; `act` takes the moment.

    `period` names the run that a moment belongs to, which is done once for all advisors. Without it
    the work is each advisor's own, every time.
    """

    name: str
    trigger: CronTrigger
    act: Callable[[datetime], object]
    period: Callable[[datetime], str] | None = None
    lease: timedelta = timedelta(minutes=30)


def week_begin(now: datetime, report: Report) -> datetime:
    """The last time before or at `now` that the weekly report was due, in its zone."""
    local = now.astimezone(ZoneInfo(report.zone))
    due = local.replace(hour=report.hour, minute=0, second=0, microsecond=0)
    due -= timedelta(days=(local.weekday() - WEEKDAYS.index(report.weekday)) % 7)
    return due if due <= local else due - timedelta(days=7)


def assessment_job(settings: Settings, act: Callable[[datetime], object]) -> Job:
    """Assess every few minutes; what it says is kept in this process."""
    minutes = settings.assess.every_minutes
    return Job("assess", CronTrigger(minute=f"*/{minutes}", timezone=UTC), act)


def mail_job(act: Callable[[datetime], object]) -> Job:
    """Send what waits in the outbox; its leases see to it that nobody else does."""
    return Job("mail", CronTrigger(minute="*/5", timezone=UTC), act)


def report_job(settings: Settings, act: Callable[[datetime], object]) -> Job:
    """The weekly report; asked for every five minutes, because a missed one is to happen late."""
    report = settings.report
    return Job(
        "weekly_report",
        CronTrigger(minute="*/5", timezone=UTC),
        act,
        lambda now: week_begin(now, report).isoformat(),
    )


def run_once(job: Job, engine: Engine, now: datetime) -> bool:
    """Run a job, if its period was not done yet; whether this call did it.

    A failure is logged and the run given out again: the next turn of the clock tries anew.
    """
    if job.period is None:
        return _acted(job, now)
    period = job.period(now)
    with Session(engine) as session:
        if not claim_run(session, job.name, period, now, lease=job.lease):
            return False
        is_done = _acted(job, now)
        settle = finish_run if is_done else release_run
        settle(session, job.name, period, now)
    return is_done


def _acted(job: Job, now: datetime) -> bool:
    try:
        job.act(now)
    except Exception:  # a job that fails must not stop the clock
        log.exception("job failed job=%s", job.name)
        return False
    return True


def start(jobs: Sequence[Job], engine: Engine, clock: Clock) -> BackgroundScheduler:
    """A running scheduler; each job is also tried at once, for what was missed."""
    scheduler = BackgroundScheduler(timezone=UTC)
    for job in jobs:
        if job.period is not None:
            with Session(engine) as session:
                begin_job(session, job.name, job.period(clock()), clock())
        scheduler.add_job(
            _turn,
            job.trigger,
            args=(job, engine, clock),
            id=job.name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=clock(),
        )
    scheduler.start()
    return scheduler


def _turn(job: Job, engine: Engine, clock: Clock) -> None:
    run_once(job, engine, clock())
