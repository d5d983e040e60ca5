"""Work by the clock happens once a period, also after a failure or a pause."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import Engine

from advisor import schedule
from advisor.schedule import Job, run_once, week_begin
from advisor.settings import Report, Settings
from advisor.store.state import open_state

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path):
    found = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield found
    found.dispose()


def weekly(act) -> Job:
    return schedule.report_job(Settings(), act)


def test_a_run_happens_once_a_period(engine: Engine) -> None:
    ran: list[datetime] = []
    job = weekly(ran.append)
    assert run_once(job, engine, NOW)
    assert not run_once(job, engine, NOW + timedelta(hours=1))
    assert run_once(job, engine, NOW + timedelta(days=7))
    assert ran == [NOW, NOW + timedelta(days=7)]


def test_a_run_that_fails_is_tried_again(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    ran: list[datetime] = []

    def act(now: datetime) -> None:
        ran.append(now)
        if len(ran) == 1:
            raise ValueError("the mail server is away")

    job = weekly(act)
    with caplog.at_level(logging.ERROR):
        assert not run_once(job, engine, NOW)
    assert "the mail server is away" in caplog.text
    assert run_once(job, engine, NOW + timedelta(minutes=5))


def test_without_a_period_every_turn_runs(engine: Engine) -> None:
    ran: list[datetime] = []
    job = schedule.assessment_job(Settings(), ran.append)
    assert run_once(job, engine, NOW)
    assert run_once(job, engine, NOW)
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-16T06:59+00:00", "2026-11-09T08:00+01:00"),
        ("2026-11-16T07:00+00:00", "2026-11-16T08:00+01:00"),
        ("2026-11-22T23:00+00:00", "2026-11-16T08:00+01:00"),
        ("2026-10-26T07:30+00:00", "2026-10-26T08:00+01:00"),
    ],
)
def test_the_week_begins_on_its_day_in_its_zone(now: str, due: str) -> None:
    report = Report(weekday="monday", hour=8, zone="Europe/Berlin")
    assert week_begin(datetime.fromisoformat(now), report) == datetime.fromisoformat(due)


def test_a_new_advisor_sends_no_report_of_a_week_it_did_not_see(engine: Engine) -> None:
    assessed, reported = threading.Event(), threading.Event()
    clock = schedule.start(
        [
            weekly(lambda _: reported.set()),
            Job("assess", CronTrigger(hour=0, timezone=UTC), lambda _: assessed.set()),
        ],
        engine,
        lambda: datetime.now(UTC),
    )
    assert assessed.wait(5)
    clock.shutdown()
    assert not reported.is_set()


def test_a_report_missed_while_the_advisor_was_away_is_made_at_its_start(engine: Engine) -> None:
    run_once(weekly(lambda _: None), engine, datetime.now(UTC) - timedelta(days=21))
    reported = threading.Event()
    clock = schedule.start([weekly(lambda _: reported.set())], engine, lambda: datetime.now(UTC))
    assert reported.wait(5)
    clock.shutdown()
