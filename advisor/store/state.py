"""The state: recommendations with their lives, scores over time. SQLite, or PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine, event, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, create_engine, select

from advisor.advise.recommendation import Recommendation
from advisor.assessment import Assessment
from advisor.errors import StoreError
from advisor.score.result import Scorecard
from advisor.store.encode import from_text, plain, to_text
from advisor.store.models import RecommendationRow, ScoreRow

EXPIRES_AFTER = timedelta(days=14)
"""An open recommendation that was not said again for so long is no longer open."""

_CLOSED = ("expired", "superseded")
_CHANGEABLE = ("open", "snoozed", "dismissed", *_CLOSED)
"""States in which advice follows what is said; from `accepted` on it stays as it was decided on."""


def connect(url: str) -> Engine:
    """The state's database, reached and left as it is.

    Raises:
        StoreError: it cannot be reached, or the URL names no database we know.
    """
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _sqlite_pragmas)
        engine.connect().close()
    except (SQLAlchemyError, ImportError) as error:
        raise StoreError(
            f"opening the state database: {error}. Check data.state_url "
            "(PostgreSQL needs pip install 'joulewise[postgresql]')"
        ) from error
    return engine


def open_state(url: str) -> Engine:
    """The state's database, migrated to this version.

    Raises:
        StoreError: it cannot be reached, or is of a newer version.
    """
    engine = connect(url)
    try:
        with engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", "advisor.store:migrations")
            command.upgrade(config, "head")
    except (SQLAlchemyError, CommandError) as error:
        engine.dispose()
        raise StoreError(
            f"migrating the state database: {error}. If a newer version made it, use that version."
        ) from error
    return engine


def _sqlite_pragmas(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = wal", "synchronous = full", "busy_timeout = 10000"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def save_assessment(session: Session, assessment: Assessment) -> tuple[Recommendation, ...]:
    """Keep an assessment's recommendations and scores; every kept recommendation as it now stands.

    Those said now come first, by rank; the others follow, the last said first. What people decided
    stays, and what they accepted stays as it was. One that rested until now is open again. An open
    one that another of its exclusive group replaces is superseded; one that was not said for
    EXPIRES_AFTER is expired.
    """
    now = assessment.made_at
    rows = {row.id: row for row in session.exec(select(RecommendationRow)).all()}
    for row in rows.values():
        _wake(row, now)
    said = [_save(session, rows.get(one.id), one, now) for one in assessment.recommendations]
    groups = {(row.target_id, row.exclusive_group) for row in said}
    ids = {row.id for row in said}
    others = [row for row in rows.values() if row.id not in ids]
    for row in others:
        if row.state == "open":
            _close(row, groups, now)
    others.sort(key=lambda row: (-row.last_seen.timestamp(), row.id))
    for rank, row in enumerate(others, start=1 + max((row.rank for row in said), default=0)):
        row.rank = rank
    for card in assessment.scorecards:
        _save_score(session, card, now)
    session.commit()
    return tuple(_recommendation(row) for row in (*said, *others))


def _wake(row: RecommendationRow, now: datetime) -> None:
    """Open again what rested for its time."""
    if row.state == "snoozed" and row.until is not None and row.until <= now:
        row.state, row.until, row.version = "open", None, row.version + 1


def _save(
    session: Session, row: RecommendationRow | None, one: Recommendation, now: datetime
) -> RecommendationRow:
    if row is None:
        row = RecommendationRow(
            id=one.id,
            rule_id=one.rule_id,
            lever=one.lever,
            target_kind=one.target_kind,
            target_id=one.target_id,
            exclusive_group=one.exclusive_group,
            first_seen=now,
            payload="",
            version=0,
        )
    if row.state in _CHANGEABLE:
        _say(row, one)
    row.rank, row.last_seen = one.rank, now
    session.add(row)
    return row


def _say(row: RecommendationRow, one: Recommendation) -> None:
    """Take over what is said now; one that was closed is open again."""
    payload = to_text(replace(one, state="open", rank=0, first_seen=None, last_seen=None))
    if row.payload != payload or row.state in _CLOSED:
        row.version += 1
    row.state = "open" if row.state in _CLOSED else row.state
    row.payload, row.deployment = payload, one.deployment
    cost = one.cost_usd_per_month
    row.cost_usd_per_month = None if cost is None else cost.expected


def _close(row: RecommendationRow, groups: set[tuple[str, str]], now: datetime) -> None:
    if (row.target_id, row.exclusive_group) in groups:
        row.state, row.version = "superseded", row.version + 1
    elif now - row.last_seen > EXPIRES_AFTER:
        row.state, row.version = "expired", row.version + 1


def _recommendation(row: RecommendationRow) -> Recommendation:
    said = from_text(Recommendation, row.payload)
    return replace(
        said, state=row.state, rank=row.rank, first_seen=row.first_seen, last_seen=row.last_seen
    )


def _save_score(session: Session, card: Scorecard, now: datetime) -> None:
    day = now.date()
    row = session.exec(
        select(ScoreRow).where(
            ScoreRow.kind == card.kind, ScoreRow.target_id == card.id, ScoreRow.day == day
        )
    ).first()
    figures: dict[str, Any] = {
        "made_at": now,
        "low": card.total.low,
        "high": card.total.high,
        "dimensions": to_text(plain(card.dimensions)),
        "version": card.version,
    }
    if row is None:
        row = ScoreRow(kind=card.kind, target_id=card.id, day=day, **figures)
    row.sqlmodel_update(figures)
    session.add(row)


def recommendations(
    session: Session, *, states: Sequence[str] | None = None
) -> tuple[Recommendation, ...]:
    """Kept recommendations by rank, those of `states` only if given."""
    query = select(RecommendationRow).order_by(col(RecommendationRow.rank), RecommendationRow.id)
    if states is not None:
        query = query.where(col(RecommendationRow.state).in_(states))
    return tuple(_recommendation(row) for row in session.exec(query).all())


def lives(session: Session) -> Mapping[str, RecommendationRow]:
    """Every kept recommendation's row by id: its state, reason, until and version."""
    return {row.id: row for row in session.exec(select(RecommendationRow)).all()}


def move(
    session: Session,
    recommendation_id: str,
    before: tuple[str, str | None, datetime | None],
    after: tuple[str, str | None, datetime | None],
) -> bool:
    """Change (state, reason, until) if it still is `before`; False where it is not.

    One statement decides, so that of two people who act at once one is told.
    """
    table = RecommendationRow
    state, reason, until = after
    changed = session.connection().execute(
        update(table)
        .where(
            col(table.id) == recommendation_id,
            col(table.state) == before[0],
            col(table.reason).is_not_distinct_from(before[1]),
            col(table.until).is_not_distinct_from(before[2]),
        )
        .values(state=state, reason=reason, until=until, version=table.version + 1)
    )
    session.commit()
    return changed.rowcount == 1


def score_history(session: Session, kind: str, target_id: str) -> Sequence[ScoreRow]:
    """The scores of one target, oldest first, one a day."""
    query = select(ScoreRow).where(ScoreRow.kind == kind, ScoreRow.target_id == target_id)
    return session.exec(query.order_by(col(ScoreRow.day))).all()
