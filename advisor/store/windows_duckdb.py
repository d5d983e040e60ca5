"""The embedded telemetry store: one owner process, one writer, a cursor for each reader."""

# ruff: noqa: S608 - table and column names come from our own table; values are always bound

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from advisor.errors import StoreError
from advisor.store import described, duckdb_deltas, duckdb_schema, hours
from advisor.store.columns import KINDS
from advisor.store.duckdb_series import series_of
from advisor.store.journal import Journal
from advisor.store.known import Known
from advisor.store.windows import Fragment, Series
from advisor.summary import Gpu, GpuHours, Instance, InstanceHours, Node

FLUSH_FRAGMENTS = 2000
"""Fragments that wait in the journal before they become rows: what makes a DuckDB commit cheap."""


class DuckDbWindows:
    """A WindowStore in a DuckDB file and a journal beside it; for use from any thread.

    Raises:
        StoreError: the file is not ours, is open in another process, or the disk refuses.
    """

    def __init__(self, path: Path, *, memory_limit: str = "1GB", threads: int = 2) -> None:
        self._write_lock = threading.Lock()
        self._database = _connect(path, memory_limit=memory_limit, threads=threads)
        self._writer = self._database.cursor()
        duckdb_schema.create(self._writer)
        self._known = Known()
        duckdb_schema.load_known(self._writer, self._known)
        self._infos = duckdb_schema.load_infos(self._writer)
        self._journal = Journal(path.with_suffix(".journal"))
        self._waiting = self._known.new(self._journal.replay())
        self._known.add(self._waiting)

    def append(self, fragments: Sequence[Fragment]) -> int:
        """Commit fragments durably; return how many were new. A known key is a no-op."""
        with self._write_lock:
            new = self._known.new(fragments)
            if new:
                self._journal.add(new)
                self._known.add(new)
                self._waiting.extend(new)
            if len(self._waiting) >= FLUSH_FRAGMENTS:
                self._flush()
            return len(new)

    def flush(self) -> None:
        """Turn what waits in the journal into rows."""
        with self._write_lock:
            self._flush()

    def close(self) -> None:
        """Flush and close; the store is not used after."""
        with self._write_lock:
            self._flush()
            self._journal.close()
            self._writer.close()
            self._database.close()

    def series(
        self, kind: str, subject_id: str, start: datetime, end: datetime, step_s: int
    ) -> Series:
        """Rates and levels of one subject, each step of `step_s` seconds; a gap is NaN."""
        with self._reader() as reader:
            instances = described.instances(reader) if kind in {"instance", "node"} else ()
            return series_of(
                reader,
                kind,
                subject_id,
                (start.timestamp(), end.timestamp(), float(step_s)),
                instances,
            )

    def nodes(self) -> tuple[Node, ...]:
        """Every node ever seen."""
        with self._reader() as reader:
            return described.nodes(reader)

    def gpus(self) -> tuple[Gpu, ...]:
        """Every GPU as last described."""
        with self._reader() as reader:
            return described.gpus(reader)

    def instances(self) -> tuple[Instance, ...]:
        """Every instance as last described."""
        with self._reader() as reader:
            return described.instances(reader)

    def instance_hours(self, start: datetime, end: datetime) -> InstanceHours:
        """Hourly summaries of instances; deltas never cross an origin."""
        times = _times(start, end)
        with self._reader() as reader:
            table = reader.execute(duckdb_deltas.instance_hours(), times).fetchnumpy()
            ends = reader.execute(duckdb_deltas.hourly_histograms(), _without_start(times))
            histograms = hours.histogram_hours(_histogram_ends(ends))
            return hours.instance_hours(table, described.config_digests(reader), histograms)

    def gpu_hours(self, start: datetime, end: datetime) -> GpuHours:
        """Hourly summaries of GPUs; deltas never cross an origin."""
        with self._reader() as reader:
            query = duckdb_deltas.gpu_hours()
            return hours.gpu_hours(reader.execute(query, _times(start, end)).fetchnumpy())

    def range(self) -> tuple[datetime, datetime] | None:
        """The first window's start and the last window's end; None while there is nothing."""
        tables = " union all ".join(f"select start_s, end_s from {kind}_windows" for kind in KINDS)
        with self._reader() as reader:
            row = reader.execute(f"select min(start_s), max(end_s) from ({tables})").fetchone()
        if row is None or row[0] is None:
            return None
        return datetime.fromtimestamp(row[0], UTC), datetime.fromtimestamp(row[1], UTC)

    @contextmanager
    def _reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own for one reading, after what waits has become rows."""
        self.flush()
        cursor = self._database.cursor()
        try:
            yield cursor
        except duckdb.Error as error:
            raise StoreError(f"reading the telemetry store failed: {error}") from error
        finally:
            cursor.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._writer.execute("begin")
        try:
            infos = self._write_rows(self._waiting)
            self._writer.execute("commit")
        except Exception as error:
            self._writer.execute("rollback")
            raise StoreError(f"writing to the telemetry store failed: {error}") from error
        self._infos |= infos
        self._waiting = []
        self._journal.clear()

    def _write_rows(self, fragments: Sequence[Fragment]) -> set[duckdb_schema.InfoKey]:
        for kind in KINDS:
            rows = [f for f in fragments if f.kind == kind]
            duckdb_schema.insert(self._writer, duckdb_schema.window_rows(kind, rows))
        duckdb_schema.insert(self._writer, duckdb_schema.histogram_rows(fragments))
        infos, keys = duckdb_schema.info_rows(fragments, self._infos)
        duckdb_schema.insert(self._writer, infos)
        return keys


def _connect(path: Path, *, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path), config={"memory_limit": memory_limit, "threads": threads})
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise StoreError(
                f"cannot open the telemetry store {path}: another process has it open. "
                "Stop that advisor, or give this one another data folder."
            ) from error
        raise StoreError(
            f"cannot open the telemetry store {path}: {error}. "
            "If the file is not Joulewise's, give another data folder."
        ) from error
    except duckdb.Error as error:
        raise StoreError(f"cannot open the telemetry store {path}: {error}") from error


def _times(start: datetime, end: datetime) -> dict[str, float]:
    """A range as parameters; the start is taken to the hour below, because hours are whole."""
    first = start.timestamp() // 3600 * 3600
    return {"since": first - duckdb_deltas.LOOKBACK_S, "start": first, "until": end.timestamp()}


def _without_start(times: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in times.items() if name != "start"}


def _histogram_ends(rows: duckdb.DuckDBPyConnection) -> Iterator[hours.HistogramEnd]:
    while chunk := rows.fetchmany(4096):
        for host, subject, source, name, origin, digest, hour, *rest in chunk:
            bounds, counts, total, last_s, first_start_s = rest
            yield hours.HistogramEnd(
                (host, subject, digest, hour),
                source,
                name,
                origin,
                bounds,
                counts,
                total,
                last_s,
                first_start_s,
            )
