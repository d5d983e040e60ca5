"""The spool's account holds whatever is done to it."""

from __future__ import annotations

import gzip
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ForeignSpoolError, SpoolError, SpoolFullError, SpoolLockedError
from agent.spool import AGED_AT_ONCE, Counts, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db")
    yield opened
    opened.close()


def _payload(sequence: int) -> bytes:
    return f"batch {sequence}".encode()


def _zeros(length: int, sequence: int) -> bytes:
    return bytes(length)


def _sequences(spool: Spool, **options: object) -> list[int]:
    return [batch.sequence for batch in spool.pending(100, **options)]  # type: ignore[arg-type]


def _balance(counts: Counts) -> int:
    return counts.acknowledged + counts.spooled + sum(counts.dropped.values())


def test_a_new_spool_is_empty_and_has_an_epoch(spool: Spool) -> None:
    assert spool.counts() == Counts(produced=0, acknowledged=0, spooled=0, dropped={})
    assert len(spool.epoch) == 32
    assert spool.state() is None
    assert spool.backlog().oldest_end_s is None


def test_a_batch_is_kept_gzipped_under_its_sequence(spool: Spool) -> None:
    assert [spool.append(_payload, end_s=60.0 * n) for n in (1, 2)] == [1, 2]
    batches = spool.pending(10)
    assert [gzip.decompress(batch.body) for batch in batches] == [b"batch 1", b"batch 2"]
    assert [batch.end_s for batch in batches] == [60.0, 120.0]


def test_pending_reads_from_either_end_and_from_a_cursor(spool: Spool) -> None:
    for _ in range(4):
        spool.append(_payload, end_s=60.0)
    assert _sequences(spool) == [1, 2, 3, 4]
    assert _sequences(spool, newest_first=True) == [4, 3, 2, 1]
    assert _sequences(spool, after=2) == [3, 4]


def test_acknowledging_twice_counts_once(spool: Spool) -> None:
    sequence = spool.append(_payload, end_s=60.0)
    spool.acknowledge(sequence)
    spool.acknowledge(sequence)
    assert spool.counts() == Counts(produced=1, acknowledged=1, spooled=0)


def test_a_drop_is_counted_by_reason(spool: Spool) -> None:
    for reason in ("rejected", "too_large", "rejected"):
        spool.drop(spool.append(_payload, end_s=60.0), reason)
    assert spool.counts().dropped == {"rejected": 2, "too_large": 1}


def test_epoch_sequence_state_and_account_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    first = Spool(path)
    first.acknowledge(first.append(_payload, end_s=60.0, state={"integral": 1.5}))
    epoch, counts = first.epoch, first.counts()
    first.close()
    second = Spool(path)
    assert (second.epoch, second.counts()) == (epoch, counts)
    assert second.state() == {"integral": 1.5}
    assert second.append(_payload, end_s=120.0) == 2
    assert second.state() == {"integral": 1.5}
    second.close()


def test_a_payload_that_cannot_be_made_leaves_nothing_behind(spool: Spool) -> None:
    def broken(sequence: int) -> bytes:
        raise LookupError(sequence)

    with pytest.raises(LookupError):
        spool.append(broken, end_s=60.0, state={"half": 1})
    assert spool.counts().produced == 0
    assert spool.state() is None
    assert spool.append(_payload, end_s=60.0) == 1


def test_a_full_spool_drops_its_oldest(tmp_path: Path) -> None:
    body = len(gzip.compress(_payload(1), 6, mtime=0))
    spool = Spool(tmp_path / "spool.db", max_bytes=3 * body)
    for _ in range(5):
        spool.append(_payload, end_s=60.0)
    assert _sequences(spool) == [3, 4, 5]
    assert spool.counts().dropped == {"spool_full": 2}
    assert spool.backlog().size_bytes == 3 * body
    spool.close()


def test_the_newest_batch_stays_even_alone_above_the_bound(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", max_bytes=1)
    spool.append(_payload, end_s=60.0)
    spool.append(_payload, end_s=120.0)
    assert _sequences(spool) == [2]
    spool.close()


def test_what_is_too_old_is_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", max_age_s=100.0)
    for end_s in (60.0, 120.0, 180.0):
        spool.append(_payload, end_s=end_s)
    assert _sequences(spool) == [2, 3]
    assert spool.counts().dropped == {"too_old": 1}
    assert spool.backlog().oldest_end_s == 120.0
    spool.close()


def test_a_clock_set_ahead_for_a_while_does_not_empty_the_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", max_age_s=1000.0)
    for minute in range(10):
        spool.append(_payload, end_s=60.0 * minute)
    spool.append(_payload, end_s=1e9)
    spool.append(_payload, end_s=600.0)
    assert spool.counts().dropped == {"too_old": AGED_AT_ONCE}
    assert _sequences(spool) == list(range(1 + AGED_AT_ONCE, 13))
    spool.close()


def test_a_spool_that_is_all_too_old_empties_batch_by_batch(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", max_age_s=100.0)
    for minute in range(6):
        spool.append(_payload, end_s=minute)
    for minute in range(6):
        spool.append(_payload, end_s=1e9 + minute)
    assert _sequences(spool) == list(range(7, 13))
    assert _balance(spool.counts()) == spool.counts().produced == 12
    spool.close()


def test_a_batch_stays_until_every_destination_has_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", destinations=("east", "west"))
    for _ in range(2):
        spool.append(_payload, end_s=60.0)
    spool.acknowledge(1, destination="east")
    assert _sequences(spool, destination="east") == [2]
    assert _sequences(spool, destination="west") == [1, 2]
    assert spool.counts().spooled == 2
    spool.acknowledge(1, destination="west")
    spool.drop(2, "rejected", destination="east")
    spool.acknowledge(2, destination="west")
    assert spool.counts() == Counts(2, 1, 0, {"rejected": 1})
    spool.close()


def test_a_removed_destination_holds_nothing_back(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    both = Spool(path, destinations=("east", "west"))
    both.append(_payload, end_s=60.0)
    both.acknowledge(1, destination="east")
    both.close()
    east = Spool(path, destinations=("east",))
    assert east.counts() == Counts(1, 0, 0, {"destination_removed": 1})
    east.close()


def test_a_full_disk_is_said_and_its_batches_are_accounted_for_later(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db")
    spool.append(_payload, end_s=60.0, state={"window": 1})
    pages = spool._database.execute("pragma page_count").fetchone()[0]
    spool._database.execute(f"pragma max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(SpoolFullError, match=r"the disk is full; free space or lower"):
            spool.append(lambda _: os.urandom(50_000), end_s=120.0, state={"window": 2})
    assert spool.counts() == Counts(1, 0, 1)
    assert spool.state() == {"window": 1}
    spool._database.execute("pragma max_page_count = 1000000")
    assert spool.append(_payload, end_s=180.0) == 4
    assert spool.counts() == Counts(4, 0, 2, {"disk_full": 2})
    spool.close()


def test_a_text_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    path.write_text("not a database, by far " * 100)
    with pytest.raises(ForeignSpoolError, match="not a database; move it away"):
        Spool(path)
    assert path.read_text().startswith("not a database")


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    other = sqlite3.connect(path)
    other.execute("create table theirs (x)")
    other.commit()
    other.close()
    with pytest.raises(ForeignSpoolError, match="another program"):
        Spool(path)


def test_a_spool_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    Spool(path).close()
    newer = sqlite3.connect(path)
    newer.execute("pragma user_version = 99")
    newer.close()
    with pytest.raises(ForeignSpoolError, match="format 99, this agent reads 1"):
        Spool(path)


def test_a_second_agent_on_the_same_spool_is_refused(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(SpoolLockedError, match=r"another agent holds it \(process \d+\)"):
        Spool(tmp_path / "spool.db")
    spool.append(_payload, end_s=60.0)
    assert spool.counts().spooled == 1


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"set agent\.state_directory"):
        Spool(tmp_path / "file" / "spool.db")


_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 400)),
        st.tuples(st.just("acknowledge"), st.integers(1, 25)),
        st.tuples(st.just("drop"), st.integers(1, 25)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(operations=_OPERATIONS)
def test_produced_is_acknowledged_plus_spooled_plus_dropped(
    operations: list[tuple[str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        spool = Spool(path, max_bytes=600, max_age_s=600.0)
        produced = 0
        for step, (operation, number) in enumerate(operations):
            if operation == "append":
                assert spool.append(partial(_zeros, number), end_s=60.0 * step) == produced + 1
                produced += 1
            elif operation == "acknowledge":
                spool.acknowledge(number)
            elif operation == "drop":
                spool.drop(number, "rejected")
            elif operation == "fail":
                with pytest.raises(ZeroDivisionError):
                    spool.append(lambda _: bytes(1 // 0), end_s=60.0 * step)
            else:
                spool.close()
                spool = Spool(path, max_bytes=600, max_age_s=600.0)
            counts = spool.counts()
            assert counts.produced == produced == _balance(counts)
            assert spool.backlog().size_bytes == sum(len(b.body) for b in spool.pending(1000))
        spool.close()
