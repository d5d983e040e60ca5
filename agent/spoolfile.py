"""The file below the spool: locked for one process, recognised as ours, its errors in our words."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import uuid
from pathlib import Path
from typing import IO

from agent.errors import ForeignSpoolError, SpoolError, SpoolFullError, SpoolLockedError

_APPLICATION_ID = 0x4A574C53  # "JWLS", in the header of the file
_SCHEMA_VERSION = 1
_SCHEMA = """
begin;
create table ledger (
  epoch text not null, produced integer not null, acknowledged integer not null,
  bytes integer not null);
create table state (json text not null);  -- large, and not to be rewritten with every count
create table dropped (reason text primary key, batches integer not null);
create table batch (
  sequence integer primary key, end_s real not null, body blob not null, reason text);
create table delivery (
  destination text not null, sequence integer not null,
  primary key (destination, sequence)) without rowid;
pragma application_id = {application_id};
pragma user_version = {version};
insert into ledger values ('{epoch}', 0, 0, 0);
insert into state values ('null');
commit;
"""


def lock(path: Path) -> IO[str]:
    """Hold `<path>.lock` as long as the process lives; the kernel frees it after a kill."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = lock_path.open("a+")
    except OSError as error:
        raise SpoolError(
            f"opening the spool {path}: {error.strerror}; "
            "set agent.state_directory to a folder this user may write"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise SpoolLockedError(
            f"opening the spool {path}: another agent holds it (process {holder}); "
            "stop it or give this one its own agent.state_directory"
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def open_database(path: Path) -> sqlite3.Connection:
    """The database at `path`, made if there is none, durable on every commit."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _check_ours(database, path)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
    except sqlite3.Error as error:
        database.close()
        raise translated(error, path) from error
    except SpoolError:
        database.close()
        raise
    return database


def _check_ours(database: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file; refuse one that somebody else made."""
    application = database.execute("pragma application_id").fetchone()[0]
    version = database.execute("pragma user_version").fetchone()[0]
    tables = database.execute("select count(*) from sqlite_master").fetchone()[0]
    if (application, version, tables) == (0, 0, 0):
        schema = _SCHEMA.format(
            application_id=_APPLICATION_ID, version=_SCHEMA_VERSION, epoch=uuid.uuid4().hex
        )
        database.executescript(schema)
    elif application != _APPLICATION_ID:
        raise ForeignSpoolError(
            f"opening the spool {path}: the file is a database of another program; "
            "move it away or set agent.state_directory to another folder"
        )
    elif version != _SCHEMA_VERSION:
        raise ForeignSpoolError(
            f"opening the spool {path}: it was written by another version of the agent "
            f"(format {version}, this agent reads {_SCHEMA_VERSION}); run that version, or move it "
            "away once it is empty"
        )


def translated(error: sqlite3.Error, path: Path) -> SpoolError:
    """SQLite's error as one of ours, with what to do about it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL:
        return SpoolFullError(
            f"writing the spool {path}: the disk is full; free space or lower spool.max_bytes"
        )
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignSpoolError(
            f"opening the spool {path}: the file is not a database; "
            "move it away or set agent.state_directory to another folder"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return SpoolError(
            f"reading the spool {path}: {error}; move it away, a new one starts with a new epoch"
        )
    return SpoolError(f"using the spool {path}: {error}; check the folder's disk and permissions")
