"""Batches on disk until a receiver has them: SQLite in WAL mode, synced on every commit.

A batch, the counters that account for it and the state of the window builder are committed in one
transaction, so a kill at any instant leaves produced = acknowledged + spooled + dropped.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import SpoolFullError
from agent.spoolfile import lock, open_database, translated

DESTINATION = "advisor"
"""The name of the destination where only one is configured."""
MAX_BYTES = 256 * 1024 * 1024
MAX_AGE_S = 7 * 24 * 3600.0
AGED_AT_ONCE = 2
"""Most batches that one new batch drops for their age: a clock that is set ahead, and back again,
costs few of them, and a bound that all have passed still empties the spool."""

_PENDING = (
    "select sequence, end_s, body from delivery join batch using (sequence) "
    "where destination = ? and sequence > ? order by sequence"
)
_WAITING = "select count(distinct sequence) from delivery"  # counted, never derived


@dataclass(frozen=True, slots=True)
class Batch:
    """One spooled export; `body` is gzipped as it will be sent."""

    sequence: int
    end_s: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """Batches by what became of them; `produced` is the sum of the others, always."""

    produced: int
    acknowledged: int
    spooled: int
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits on disk: batches, their bytes, the end of the oldest window if there is one."""

    batches: int
    size_bytes: int
    oldest_end_s: float | None


class Spool:
    """One file, one process, any number of threads.

    With several destinations a batch stays until each has it: it counts as acknowledged when all of
    them took it, and as dropped, under the first reason, when one of them never will.

    Raises SpoolError and its kinds; after SpoolFullError the spool is as it was before.
    """

    def __init__(
        self,
        path: Path,
        *,
        destinations: Sequence[str] = (DESTINATION,),
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._path = path
        self._destinations = tuple(destinations)
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._mutex = threading.Lock()
        self._lost = 0
        self._lock_file = lock(path)
        try:
            self._database = open_database(path)
            with self._transaction() as database:
                self.epoch: str = database.execute("select epoch from ledger").fetchone()[0]
                self._forget_removed_destinations(database)
        except BaseException:
            self._lock_file.close()
            raise

    def append(
        self,
        payload_for: Callable[[int], bytes],
        *,
        end_s: float,
        state: Mapping[str, Any] | None = None,
    ) -> int:
        """Store what `payload_for` makes of the new sequence number, with the builder's state.

        What no longer fits the bounds is dropped, oldest first. `state` None keeps the last one.
        """
        try:
            with self._transaction() as database:
                sequence = self._append(database, payload_for, end_s)
                if state is not None:
                    text = json.dumps(state, separators=(",", ":"))
                    database.execute("update state set json = ?", (text,))
        except SpoolFullError:
            self._lost += 1  # accounted for with the next batch that can be stored
            raise
        self._lost = 0
        return sequence

    def pending(
        self,
        limit: int,
        *,
        destination: str = DESTINATION,
        after: int = 0,
        newest_first: bool = False,
    ) -> list[Batch]:
        """Batches the destination does not have yet, with a sequence above `after`."""
        query = _PENDING + (" desc limit ?" if newest_first else " limit ?")
        with self._transaction() as database:
            rows = database.execute(query, (destination, after, limit)).fetchall()
        return [Batch(*row) for row in rows]

    def acknowledge(self, sequence: int, *, destination: str = DESTINATION) -> None:
        """The destination has the batch. A batch that is no longer here is no error."""
        with self._transaction() as database:
            self._settle(database, sequence, destination, reason=None)

    def drop(self, sequence: int, reason: str, *, destination: str = DESTINATION) -> None:
        """The destination will never take the batch."""
        with self._transaction() as database:
            self._settle(database, sequence, destination, reason=reason)

    def counts(self) -> Counts:
        """The account of every batch ever produced."""
        with self._transaction() as database:
            produced, acknowledged = database.execute(
                "select produced, acknowledged from ledger"
            ).fetchone()
            spooled = database.execute(_WAITING).fetchone()[0]
            dropped = dict(database.execute("select reason, batches from dropped order by reason"))
        return Counts(produced, acknowledged, spooled, dropped)

    def backlog(self) -> Backlog:
        """How much waits, and since when."""
        with self._transaction() as database:
            batches = database.execute(_WAITING).fetchone()[0]
            size = database.execute("select bytes from ledger").fetchone()[0]
            oldest = database.execute(
                "select end_s from batch order by sequence limit 1"
            ).fetchone()
        return Backlog(batches, size, oldest[0] if oldest else None)

    def state(self) -> dict[str, Any] | None:
        """The builder's state as committed with the last batch, or None."""
        with self._transaction() as database:
            text = database.execute("select json from state").fetchone()[0]
        state: dict[str, Any] | None = json.loads(text)
        return state

    def close(self) -> None:
        """Give the file back; closing twice is no error."""
        with self._mutex:
            self._database.close()
            self._lock_file.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                self._database.execute("begin immediate")
                yield self._database
                self._database.execute("commit")
            except BaseException as error:
                if self._database.in_transaction:
                    self._database.execute("rollback")
                if isinstance(error, sqlite3.Error):
                    raise translated(error, self._path) from error
                raise

    def _append(
        self, database: sqlite3.Connection, payload_for: Callable[[int], bytes], end_s: float
    ) -> int:
        if self._lost:
            _count_dropped(database, "disk_full", self._lost)
            database.execute("update ledger set produced = produced + ?", (self._lost,))
        sequence: int = database.execute("select produced + 1 from ledger").fetchone()[0]
        body = gzip.compress(payload_for(sequence), 6, mtime=0)
        database.execute("insert into batch values (?, ?, ?, null)", (sequence, end_s, body))
        database.executemany(
            "insert into delivery values (?, ?)",
            [(destination, sequence) for destination in self._destinations],
        )
        database.execute("update ledger set produced = ?, bytes = bytes + ?", (sequence, len(body)))
        self._enforce_bounds(database, sequence, end_s)
        return sequence

    def _enforce_bounds(self, database: sqlite3.Connection, newest: int, end_s: float) -> None:
        aged = 0
        while True:
            size, oldest, oldest_end_s = database.execute(
                "select bytes, sequence, end_s from ledger, batch order by sequence limit 1"
            ).fetchone()
            if oldest == newest:
                return
            if aged < AGED_AT_ONCE and oldest_end_s < end_s - self._max_age_s:
                self._remove(database, oldest, reason="too_old")
                aged += 1
            elif size > self._max_bytes:
                self._remove(database, oldest, reason="spool_full")
            else:
                return

    def _settle(
        self, database: sqlite3.Connection, sequence: int, destination: str, *, reason: str | None
    ) -> None:
        removed = database.execute(
            "delete from delivery where destination = ? and sequence = ?", (destination, sequence)
        ).rowcount
        if not removed:
            return
        if reason is not None:
            note = "update batch set reason = coalesce(reason, ?) where sequence = ?"
            database.execute(note, (reason, sequence))
        waiting = "select 1 from delivery where sequence = ? limit 1"
        if not database.execute(waiting, (sequence,)).fetchone():
            self._remove(database, sequence, reason=None)

    def _remove(self, database: sqlite3.Connection, sequence: int, *, reason: str | None) -> None:
        """Take a batch out and count it; without a reason of its own, by what was noted on it."""
        size, noted = database.execute(
            "delete from batch where sequence = ? returning length(body), reason", (sequence,)
        ).fetchone()
        database.execute("delete from delivery where sequence = ?", (sequence,))
        database.execute("update ledger set bytes = bytes - ?", (size,))
        if why := noted or reason:
            _count_dropped(database, why, 1)
        else:
            database.execute("update ledger set acknowledged = acknowledged + 1")

    def _forget_removed_destinations(self, database: sqlite3.Connection) -> None:
        rows = database.execute("select destination, sequence from delivery").fetchall()
        for destination, sequence in rows:
            if destination not in self._destinations:
                self._settle(database, sequence, destination, reason="destination_removed")


def _count_dropped(database: sqlite3.Connection, reason: str, batches: int) -> None:
    database.execute(
        "insert into dropped values (?, ?) "
        "on conflict (reason) do update set batches = batches + excluded.batches",
        (reason, batches),
    )
