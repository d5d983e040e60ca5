"""Alembic's entry: migrates the connection it is handed by advisor.store.state."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from advisor.store import models  # noqa: F401 - registers the tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
