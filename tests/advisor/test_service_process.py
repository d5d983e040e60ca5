"""A real advisor process: what it acknowledged is stored, and what is in its way is said."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from advisor.store.windows_duckdb import DuckDbWindows

COMMAND = Path(sys.executable).parent / "joulewise"
T0_S = 1_790_000_000
START_S = 60.0


@dataclass
class Served:
    """A running advisor and where it listens."""

    process: subprocess.Popen[str]
    web: str
    otlp: str


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("JOULEWISE_")}


@contextmanager
def advisor(data: Path) -> Iterator[Served]:
    process = subprocess.Popen(
        [COMMAND, "serve", "--data", data, "--port", "0", "--otlp-port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stderr
        for line in process.stderr:
            if found := re.search(r"serving web=(\S+) otlp=(\S+)", line):
                break
        else:
            pytest.fail("the advisor did not start")
        yield Served(process, *found.groups())
    finally:
        process.kill()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def batch(sequence: int) -> bytes:
    message = ExportMetricsServiceRequest()
    part = message.resource_metrics.add()
    for key, text in {"host.id": "h", "service.instance.id": "e", "host.name": "box"}.items():
        part.resource.attributes.add(key=key).value.string_value = text
    part.resource.attributes.add(key="joulewise.batch.sequence").value.int_value = sequence
    part.resource.attributes.add(key="joulewise.window.duration").value.double_value = 60.0
    scope = part.scope_metrics.add()
    scope.scope.name = "joulewise.nvml"
    metric = scope.metrics.add(name="hw.energy")
    metric.sum.aggregation_temporality = 2
    point = metric.sum.data_points.add(
        time_unix_nano=(T0_S + 60 * sequence) * 10**9,
        start_time_unix_nano=T0_S * 10**9,
        as_double=float(sequence),
    )
    point.attributes.add(key="hw.id").value.string_value = "GPU-1"
    return message.SerializeToString()


def send(client: httpx.Client, otlp: str, sequence: int) -> bool:
    headers = {"content-type": "application/x-protobuf"}
    try:
        return client.post(
            f"{otlp}/v1/metrics", content=batch(sequence), headers=headers
        ).is_success
    except httpx.HTTPError:
        return False


def stored(data: Path) -> list[int]:
    store = DuckDbWindows(data / "telemetry.duckdb")
    with store._reader() as reader:
        rows = reader.execute("select sequence from gpu_windows order by 1").fetchall()
    store.close()
    return [sequence for (sequence,) in rows]


@pytest.mark.slow
def test_kill_9_loses_nothing_acknowledged_and_stores_nothing_twice(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    sent = 0
    for kill_after in (40, 25):
        with advisor(tmp_path / "data") as served, httpx.Client(timeout=10) as client:
            again = range(max(0, sent - 10), sent)
            acknowledged |= {n for n in again if send(client, served.otlp, n)}
            for _ in range(kill_after):
                acknowledged |= {sent} if send(client, served.otlp, sent) else set()
                sent += 1
            served.process.kill()
            assert not send(client, served.otlp, sent)
    kept = stored(tmp_path / "data")
    assert len(kept) == len(set(kept))
    assert acknowledged <= set(kept)
    assert len(acknowledged) == sent == 65


@pytest.mark.slow
def test_sigterm_stores_what_was_received_and_ends_well(tmp_path: Path) -> None:
    with advisor(tmp_path / "data") as served, httpx.Client(timeout=10) as client:
        assert client.get(f"{served.otlp}/readyz").is_success
        assert client.get(f"{served.web}/readyz").is_success
        assert send(client, served.otlp, 1)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
    assert stored(tmp_path / "data") == [1]


@pytest.mark.slow
def test_a_second_advisor_on_the_same_data_is_told_who_has_it(tmp_path: Path) -> None:
    with advisor(tmp_path / "data") as served:
        second = run("serve", "--data", tmp_path / "data", "--port", "0", "--otlp-port", "0")
        assert second.returncode == 1
        assert f"another advisor (process {served.process.pid}) has it" in second.stderr
        assert "Traceback" not in second.stderr
        nodes = run("nodes", "--url", served.web)
        assert "nothing" in (nodes.stdout + nodes.stderr).lower() or nodes.returncode in {0, 1}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
        env=environment(),
    )


@pytest.mark.slow
def test_what_is_in_the_way_is_said_in_one_line_with_the_next_step(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        free = ("--port", "0", "--otlp-port", "0")
        cases = {
            ("--data", foreign, *free): "holds thesis.tex and is not Joulewise's",
            ("--data", tmp_path / "a", "--port", port): "set another web.port",
            ("--data", tmp_path / "b", "--host", "0.0.0.0", *free): "joulewise token > read.token",
            ("--data", tmp_path / "c", "--otlp-host", "::", *free): "no ingest token is set",
        }
        for words, said in cases.items():
            ran = run("serve", *words)
            assert ran.returncode == 1
            assert said in ran.stderr
            assert ran.stderr.count("\n") == 1
    assert [entry.name for entry in foreign.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_a_worker_does_not_outlive_its_advisor(tmp_path: Path) -> None:
    from advisor.service import Worker

    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal\n"
        "from advisor.service import Worker\n"
        "if __name__ == '__main__':\n"
        "    pool = Worker()._running()\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert Worker
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=START_S, check=False,
        cwd=Path(__file__).parents[2], env={**environment(), "PYTHONPATH": "."},
    )  # fmt: skip
    worker = int(ran.stdout)
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        if "Z" in Path(f"/proc/{worker}/stat").read_text().split(")")[-1].split()[0]:
            break
        time.sleep(0.2)
    else:
        assert not Path(f"/proc/{worker}").exists()
