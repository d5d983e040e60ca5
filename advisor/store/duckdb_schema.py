"""The tables of the embedded telemetry store, and fragments written into them in bulk."""

# ruff: noqa: S608 - table and column names come from our own table; values are always bound

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from advisor.store.columns import COLUMNS, KINDS, Column, histogram_origin
from advisor.store.known import Known
from advisor.store.windows import Fragment
from agent.vocabulary import SubjectKind

_KEY_COLUMNS = (
    "host_id varchar",
    "subject_id varchar",
    "epoch varchar",
    "sequence bigint",
    "source varchar",
)

InfoKey = tuple[str, str, str, str]
"""(kind, host, subject, digest of the attributes)."""


def origin_column(name: str) -> str:
    """The column that holds when a counter column began, in Unix seconds."""
    return f"{name}_origin"


def create(database: duckdb.DuckDBPyConnection) -> None:
    """Make what is missing: tables, and columns that a newer version added."""
    held = _held(database)
    for kind in KINDS:
        values = [f"{name} double" for name in _stored_columns(COLUMNS[kind].values())]
        fixed = (*_KEY_COLUMNS, "start_s double", "end_s double", "info_digest varchar")
        _make(database, f"{kind}_windows", (*fixed, *values), held)
    ends = ("end_s double", "name varchar", "origin double", "sum double")
    lists = ("bounds double[]", "counts double[]")
    _make(database, "histograms", (*_KEY_COLUMNS, *ends, *lists), held)
    texts = ("kind", "host_id", "subject_id", "digest", "attributes")
    _make(database, "infos", (*(f"{name} varchar" for name in texts), "first_s double"), held)


def _held(database: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """The columns of each table that is there."""
    held: dict[str, set[str]] = {}
    for table, column in database.execute(
        "select table_name, column_name from duckdb_columns()"
    ).fetchall():
        held.setdefault(table, set()).add(column)
    return held


def _make(
    database: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[str],
    held: Mapping[str, set[str]],
) -> None:
    if table not in held:
        database.execute(f"create table {table} ({', '.join(columns)})")
        return
    for column in columns:
        if column.split()[0] not in held[table]:
            database.execute(f"alter table {table} add column {column}")


def _stored_columns(columns: Iterable[Column]) -> Iterable[str]:
    for column in columns:
        yield column.name
        if column.cumulative:
            yield origin_column(column.name)


def load_known(database: duckdb.DuckDBPyConnection, known: Known) -> None:
    """Read which sequences each stream holds, as ranges."""
    for kind in KINDS:
        rows = database.execute(f"""
            select host_id, subject_id, epoch, source, min(sequence), max(sequence)
            from (select host_id, subject_id, epoch, source, sequence,
                    sequence - row_number() over (
                        partition by host_id, subject_id, epoch, source order by sequence) as island
                  from {kind}_windows)
            group by host_id, subject_id, epoch, source, island
        """).fetchall()
        for host, subject, epoch, source, first, last in rows:
            known.load((kind, host, subject, epoch, source), first, last)


def load_infos(database: duckdb.DuckDBPyConnection) -> set[InfoKey]:
    """The descriptions already kept."""
    rows = database.execute("select kind, host_id, subject_id, digest from infos").fetchall()
    return {(kind, host, subject, digest) for kind, host, subject, digest in rows}


def info_digest(info: Mapping[str, str]) -> str:
    """A digest of all attributes: another configuration, driver or role is another digest."""
    text = json.dumps(sorted(info.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Rows:
    """Fragments as columns of one table: every array has the same length."""

    table: str
    arrays: Mapping[str, NDArray[Any]]


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    """An object array that keeps lists as values."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _keys(fragments: Sequence[Fragment]) -> dict[str, NDArray[Any]]:
    return {
        "host_id": _objects([f.host_id for f in fragments]),
        "subject_id": _objects([f.subject_id for f in fragments]),
        "epoch": _objects([f.epoch for f in fragments]),
        "sequence": np.array([f.sequence for f in fragments], dtype=np.int64),
        "source": _objects([f.source for f in fragments]),
        "end_s": np.array([f.end_s for f in fragments]),
    }


def window_rows(kind: SubjectKind, fragments: Sequence[Fragment]) -> Rows:
    """The rows of one kind's table; a column that no fragment has is left out and becomes NULL.

    An unknown origin is 0: deltas then lean on the counter alone.
    """
    arrays = _keys(fragments)
    arrays["start_s"] = np.array([f.start_s for f in fragments])
    arrays["info_digest"] = _objects([info_digest(f.info) if f.info else None for f in fragments])
    nan = float("nan")
    for name in sorted({name for f in fragments for name in f.values}):
        arrays[name] = np.array([f.values.get(name, nan) for f in fragments])
        if COLUMNS[kind][name].cumulative:
            origins = [f.origins.get(name, 0.0) if name in f.values else nan for f in fragments]
            arrays[origin_column(name)] = np.array(origins)
    return Rows(f"{kind}_windows", arrays)


def histogram_rows(fragments: Sequence[Fragment]) -> Rows:
    """One row a histogram of a window: bounds, the last infinite, and cumulative counts."""
    flat = [(f, name, value) for f in fragments for name, value in f.histograms.items()]
    arrays = _keys([f for f, _, _ in flat])
    arrays["name"] = _objects([name for _, name, _ in flat])
    arrays["origin"] = np.array([f.origins.get(histogram_origin(name), 0.0) for f, name, _ in flat])
    arrays["sum"] = np.array([total for _, _, (_, _, total) in flat])
    arrays["bounds"] = _objects([list(bounds) for _, _, (bounds, _, _) in flat])
    arrays["counts"] = _objects([list(counts) for _, _, (_, counts, _) in flat])
    return Rows("histograms", arrays)


def info_rows(fragments: Sequence[Fragment], held: set[InfoKey]) -> tuple[Rows, set[InfoKey]]:
    """Descriptions not yet held, and their keys."""
    new: dict[InfoKey, Fragment] = {}
    for f in fragments:
        if f.info:
            key = (f.kind, f.host_id, f.subject_id, info_digest(f.info))
            if key not in held and (key not in new or new[key].end_s > f.end_s):
                new[key] = f
    arrays = {
        "kind": _objects([key[0] for key in new]),
        "host_id": _objects([key[1] for key in new]),
        "subject_id": _objects([key[2] for key in new]),
        "digest": _objects([key[3] for key in new]),
        "attributes": _objects([json.dumps(f.info, sort_keys=True) for f in new.values()]),
        "first_s": np.array([f.start_s for f in new.values()]),
    }
    return Rows("infos", arrays), set(new)


def insert(database: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Append rows in bulk. NaN becomes NULL on the way, which is what absence is here."""
    if len(next(iter(rows.arrays.values()))):
        arrays = dict(rows.arrays)
        names = ", ".join(arrays)
        database.execute(f"insert into {rows.table} ({names}) select {names} from arrays")
