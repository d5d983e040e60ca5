"""The tables of the state: what outlives an assessment. Telemetry is not here."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, LargeBinary, Text, UniqueConstraint
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC also where the database forgets zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        """Refuse a naive time; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        """SQLite gives naive times back; they are UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _time(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcTime(), nullable=nullable))


class RecommendationRow(SQLModel, table=True):
    """A recommendation as last said, and what people decided about it."""

    __tablename__ = "recommendation"

    id: str = Field(primary_key=True)
    rule_id: str = Field(index=True)
    lever: str
    target_kind: str
    target_id: str = Field(index=True)
    exclusive_group: str
    deployment: str | None = None
    rank: int = 0
    cost_usd_per_month: float | None = None
    payload: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(default="open", index=True)
    reason: str | None = None
    until: datetime | None = _time(nullable=True)
    first_seen: datetime = _time()
    last_seen: datetime = _time()
    version: int = 1


class ScoreRow(SQLModel, table=True):
    """The last score of a target on a day."""

    __tablename__ = "score_history"
    __table_args__ = (UniqueConstraint("kind", "target_id", "day"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    target_id: str = Field(index=True)
    day: date
    made_at: datetime = _time()
    low: float
    high: float
    dimensions: str = Field(sa_column=Column(Text, nullable=False))
    version: int


class OutboxRow(SQLModel, table=True):
    """A mail to one recipient: waiting, sending, sent, uncertain or given_up."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("report_id", "recipient"),)

    id: int | None = Field(default=None, primary_key=True)
    report_id: str
    recipient: str
    subject: str
    message: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: str = Field(default="waiting", index=True)
    attempts: int = 0
    error: str | None = None
    next_try: datetime = _time()
    lease_until: datetime | None = _time(nullable=True)
    sent_at: datetime | None = _time(nullable=True)


class JobRunRow(SQLModel, table=True):
    """A job's run of one period: leased while it runs, done once."""

    __tablename__ = "job_run"
    __table_args__ = (UniqueConstraint("job", "period"),)

    id: int | None = Field(default=None, primary_key=True)
    job: str
    period: str
    lease_until: datetime = _time()
    done_at: datetime | None = _time(nullable=True)


class ApiTokenRow(SQLModel, table=True):
    """A bearer token's hash, its name and its scopes, comma-joined."""

    __tablename__ = "api_token"

    name: str = Field(primary_key=True)
    sha256: str = Field(unique=True)
    scopes: str
    created_at: datetime = _time()
