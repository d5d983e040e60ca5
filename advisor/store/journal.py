"""What was acknowledged and is not yet in the columnar store: groups, durable at once.

A small durable commit costs SQLite a tenth of what it costs DuckDB; DuckDB in turn wants
thousands of rows a commit. Replaying a group twice is harmless, because known keys are no-ops.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from advisor.errors import StoreError
from advisor.store.windows import Fragment

_FIELDS = tuple(field.name for field in fields(Fragment))


def _as_json(fragment: Fragment) -> list[Any]:
    return [getattr(fragment, name) for name in _FIELDS]


def _from_json(row: list[Any]) -> Fragment:
    said = dict(zip(_FIELDS, row, strict=True))
    said["histograms"] = {
        name: (tuple(bounds), tuple(counts), total)
        for name, (bounds, counts, total) in said["histograms"].items()
    }
    return Fragment(**said)


class Journal:
    """An SQLite file of committed groups. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._database.execute(
                "create table if not exists batch (id integer primary key, fragments text)"
            )
        except sqlite3.Error as error:
            raise StoreError(f"cannot open the ingest journal {path}: {error}") from error

    def add(self, fragments: Sequence[Fragment]) -> None:
        """Commit a group durably."""
        text = json.dumps([_as_json(f) for f in fragments], separators=(",", ":"))
        try:
            self._database.execute("insert into batch (fragments) values (?)", (text,))
        except sqlite3.Error as error:
            raise StoreError(f"cannot commit to the ingest journal: {error}") from error

    def replay(self) -> list[Fragment]:
        """Every fragment still in the journal, in the order it was committed."""
        rows = self._database.execute("select fragments from batch order by id").fetchall()
        return [_from_json(item) for (text,) in rows for item in json.loads(text)]

    def clear(self) -> None:
        """Forget what the columnar store has committed."""
        try:
            self._database.execute("delete from batch")
        except sqlite3.Error as error:
            raise StoreError(f"cannot clear the ingest journal: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()
