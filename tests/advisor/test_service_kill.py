"""An advisor killed while it receives has every batch it acknowledged, and none of them twice."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest

from advisor.store.windows_duckdb import DuckDbWindows
from agent.otlp import Resource, encode
from agent.settings import Destination
from agent.ship import Shipper
from agent.spool import Spool
from agent.window import Point, Subject, Window

pytestmark = pytest.mark.slow

BATCHES = 600
GPUS = 8
START_S = 1_790_000_000 // 3600 * 3600.0
JOULES_A_WINDOW = 6000.0
KILLS = 2


def windows(sequence: int) -> list[Window]:
    end_s = START_S + 60.0 * sequence
    energy = Point("hw.energy", (), JOULES_A_WINDOW * sequence, START_S)
    return [
        Window(Subject("gpu", f"GPU-{gpu}"), "nvml", end_s - 60.0, end_s, (energy,))
        for gpu in range(GPUS)
    ]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db")
    resource = Resource("h1", "node-1", opened.epoch, "0")
    for number in range(1, BATCHES + 1):
        opened.append(lambda s: encode(resource, s, windows(s)), end_s=START_S + 60.0 * number)
    yield opened
    opened.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def advisor(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real `joulewise serve`, ready to receive; killed if nobody did."""
    (folder / "joulewise.toml").touch()
    words = ["serve", "--data", str(folder / "data"), "--config", str(folder / "joulewise.toml")]
    program = Path(sys.executable).with_name("joulewise")
    flags = ["--port", "0", "--otlp-port", str(port)]
    with (folder / "advisor.log").open("ab") as log:
        process = subprocess.Popen([program, *words, *flags], stderr=log)
    try:
        wait_until(lambda: is_ready(process, port), "the advisor is ready")
        yield process
    finally:
        process.kill()
        process.wait()


def is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "the advisor ended"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.HTTPError:
        return False


def wait_until(is_so: Callable[[], bool], what: str, every_s: float = 0.05) -> None:
    deadline = time.monotonic() + 60.0
    while not is_so():
        assert time.monotonic() < deadline, f"waited a minute until {what}"
        time.sleep(every_s)


def kill_after(process: subprocess.Popen[bytes], spool: Spool, batches: int) -> None:
    """Kill while the batch after that many acknowledged ones is on its way."""
    wait_until(lambda: spool.counts().acknowledged >= batches, f"{batches} are taken", 0.001)
    process.kill()


def ship_until_it_fails(spool: Spool, port: int) -> str:
    """Send rounds as fast as they are taken; why the last one failed, empty if all were taken."""
    url = f"http://127.0.0.1:{port}"
    shipper = Shipper(spool, Destination(url=url, backlog_batches=20))
    try:
        while spool.counts().spooled:
            if failure := shipper.ship_once().failure:
                return failure
        return ""
    finally:
        shipper.close()


def acknowledged(spool: Spool) -> set[int]:
    waiting = {batch.sequence for batch in spool.pending(BATCHES)}
    return set(range(1, spool.counts().produced + 1)) - waiting


def stored(data: Path) -> list[tuple[str, int, str]]:
    """(epoch, sequence, GPU) of every row, as the next start finds them."""
    DuckDbWindows(data / "telemetry.duckdb").close()
    with duckdb.connect(str(data / "telemetry.duckdb"), read_only=True) as database:
        query = "select epoch, sequence, subject_id from gpu_windows"
        return database.execute(query).fetchall()


def test_a_kill_while_receiving_loses_no_acknowledged_batch_and_doubles_none(
    spool: Spool, tmp_path: Path, port: int
) -> None:
    chance = random.Random(20261123)
    data = tmp_path / "data"
    for _ in range(KILLS):
        with advisor(tmp_path, port) as process:
            batches = spool.counts().acknowledged + chance.randint(20, 150)
            killer = threading.Thread(target=kill_after, args=(process, spool, batches))
            killer.start()
            assert ship_until_it_fails(spool, port), "it was to be killed in the middle"
            killer.join()
        assert spool.counts().acknowledged >= batches
        rows = stored(data)
        assert len(rows) == len(set(rows))
        kept = set(rows)
        assert all(
            (spool.epoch, sequence, f"GPU-{gpu}") in kept
            for sequence in acknowledged(spool)
            for gpu in range(GPUS)
        )
    with advisor(tmp_path, port) as process:
        assert ship_until_it_fails(spool, port) == ""
        process.terminate()
        assert process.wait(30) == 0
    counts = spool.counts()
    assert (counts.produced, counts.acknowledged, counts.dropped) == (BATCHES, BATCHES, {})
    assert sorted(stored(data)) == sorted(
        (spool.epoch, sequence, f"GPU-{gpu}")
        for sequence in range(1, BATCHES + 1)
        for gpu in range(GPUS)
    )
