"""What happens by the clock: assessments every few minutes, the weekly report once a week.

APScheduler keeps time in memory; the state's job_run decides, so that a run missed by a stopped
advisor happens once, late, by one advisor only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import Engine
from sqlmodel import Session

from advisor.settings import WEEKDAYS, Report, Settings
from advisor.store.jobs import claim_run, finish_run, release_run

log = logging.getLogger("joulewise.advisor")

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Job:
    """Work by the clock: `period` names the run a moment belongs to; `act` takes that moment."""

    name: str
    trigger: CronTrigger
    period: Callable[[datetime], str]
    act: Callable[[datetime], object]
    lease: timedelta


def minute_period(minutes: int) -> Callable[[datetime], str]:
    """Names the run of every so many minutes."""

    def period(now: datetime) -> str:
        begun = now.astimezone(UTC).replace(second=0, microsecond=0)
        return (begun - timedelta(minutes=begun.minute % minutes)).isoformat()

    return period


def week_begin(now: datetime, report: Report) -> datetime:
    """The last time before or at `now` that the weekly report was due, in its zone."""
    local = now.astimezone(ZoneInfo(report.zone))
    due = local.replace(hour=report.hour, minute=0, second=0, microsecond=0)
    due -= timedelta(days=(local.weekday() - WEEKDAYS.index(report.weekday)) % 7)
    return due if due <= local else due - timedelta(days=7)


def assessment_job(settings: Settings, act: Callable[[datetime], object]) -> Job:
    """Assess every few minutes."""
    minutes = settings.assess.every_minutes
    trigger = CronTrigger(minute=f"*/{minutes}", timezone=UTC)
    return Job("assess", trigger, minute_period(minutes), act, timedelta(minutes=10))


def report_job(settings: Settings, act: Callable[[datetime], object]) -> Job:
    """The weekly report; asked for every five minutes, because a missed one is to happen late."""
    report = settings.report
    trigger = CronTrigger(minute="*/5", timezone=UTC)
    return Job(
        "weekly_report",
        trigger,
        lambda now: week_begin(now, report).isoformat(),
        act,
        timedelta(minutes=30),
    )


def run_once(job: Job, engine: Engine, now: datetime) -> bool:
    """Run a job for the period `now` is in, if nobody did; whether this call did.

    A failure is logged and the run given out again: the next minute tries anew.
    """
    period = job.period(now)
    with Session(engine) as session:
        if not claim_run(session, job.name, period, now, lease=job.lease):
            return False
        try:
            job.act(now)
        except Exception:  # a failing job must not stop the clock
            log.exception("job failed job=%s period=%s", job.name, period)
            release_run(session, job.name, period, now)
            return False
        finish_run(session, job.name, period, now)
    return True


def start(jobs: list[Job], engine: Engine, clock: Clock) -> BackgroundScheduler:
    """A running scheduler; each job is also tried at once, for what was missed."""
    scheduler = BackgroundScheduler(timezone=UTC)
    for job in jobs:
        scheduler.add_job(
            lambda job=job: run_once(job, engine, clock()),
            job.trigger,
            id=job.name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=clock(),
        )
    scheduler.start()
    return scheduler
