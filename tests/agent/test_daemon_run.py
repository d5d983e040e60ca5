"""`joulewise-agent run` and `once` as processes: an engine's page in, batches out, killed and stopped."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from agent.spool import Spool

COMMAND = Path(sys.executable).parent / "joulewise-agent"
PAGE = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="m"}} 4
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="m"}} 0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="m"}} {tokens}
"""


class Node:
    """An engine that makes ten tokens a read, and the receiver of what the agent says of it."""

    def __init__(self) -> None:
        self._bodies: defaultdict[int, set[bytes]] = defaultdict(set)
        self._mutex = threading.Lock()
        self.epochs: set[str] = set()
        self.tokens = 0
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node.tokens += 10
                found = self.path == "/metrics"
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(PAGE.format(tokens=node.tokens).encode() if found else b"")

            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                node.take(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def take(self, body: bytes) -> None:
        request = ExportMetricsServiceRequest.FromString(body)
        named = {pair.key: pair.value for pair in request.resource_metrics[0].resource.attributes}
        with self._mutex:
            self.epochs.add(named["service.instance.id"].string_value)
            self._bodies[named["joulewise.batch.sequence"].int_value].add(body)

    @property
    def bodies(self) -> dict[int, set[bytes]]:
        """What arrived so far, by sequence number and in its order."""
        with self._mutex:
            return {sequence: set(self._bodies[sequence]) for sequence in sorted(self._bodies)}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def node() -> Iterator[Node]:
    opened = Node()
    yield opened
    opened.close()


def _flags(node: Node, state: Path) -> list[str]:
    values = {
        "agent.host_id": "host-1",
        "agent.state_directory": state,
        "agent.window_s": 1,
        "gpu.nvml": "no",
        "engine.url": node.url,
        "engine.interval_s": 0.1,
        "destination.url": node.url,
    }
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def _started(node: Node, state: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "run", *_flags(node, state)], stderr=subprocess.PIPE, text=True
    )


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120.0
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _tokens(bodies: set[bytes]) -> float | None:
    (body,) = bodies
    request = ExportMetricsServiceRequest.FromString(body)
    scopes = request.resource_metrics[0].scope_metrics
    totals = [
        float(point.as_double)
        for scope in scopes
        for metric in scope.metrics
        if metric.name == "joulewise.engine.tokens"
        for point in metric.sum.data_points
    ]
    return max(totals, default=None)


def test_it_ships_until_it_is_told_to_stop(node: Node, tmp_path: Path) -> None:
    agent = _started(node, tmp_path)
    _until(lambda: len(node.bodies) >= 2 and any(map(_tokens, node.bodies.values())))
    agent.send_signal(signal.SIGTERM)
    _, said = agent.communicate(timeout=120)
    assert agent.returncode == 0
    assert [line.split()[:2] for line in said.splitlines()] == [
        ["INFO", "started"],
        ["INFO", "stopped"],
    ]
    spool = Spool(tmp_path / "spool.db")
    counts = spool.counts()
    spool.close()
    assert counts.spooled >= 1  # the window that was open when it was stopped
    assert counts.produced == counts.acknowledged + counts.spooled


def test_killed_again_and_again_it_loses_and_doubles_no_batch(node: Node, tmp_path: Path) -> None:
    for _ in range(3):
        before = len(node.bodies)
        agent = _started(node, tmp_path)
        _until(lambda: len(node.bodies) >= before + 1)  # noqa: B023 - used before it changes
        agent.kill()
        agent.communicate(timeout=120)
    agent = _started(node, tmp_path)
    _until(lambda: [*node.bodies] == [*range(1, len(node.bodies) + 1)] and len(node.bodies) > 3)
    agent.terminate()
    agent.communicate(timeout=120)
    assert len(node.epochs) == 1
    assert all(len(bodies) == 1 for bodies in node.bodies.values())
    counted = [_tokens(bodies) for bodies in node.bodies.values()]
    seen = [tokens for tokens in counted if tokens is not None]
    assert seen == sorted(seen)


def test_a_second_agent_on_the_same_spool_ends_with_a_message(node: Node, tmp_path: Path) -> None:
    agent = _started(node, tmp_path)
    _until((tmp_path / "spool.db").exists)
    second = subprocess.run(
        [COMMAND, "run", *_flags(node, tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    agent.terminate()
    agent.communicate(timeout=120)
    assert second.returncode == 1
    assert f"another agent holds it (process {agent.pid})" in second.stderr


def test_once_delivers_one_window_and_says_so(node: Node, tmp_path: Path) -> None:
    ran = subprocess.run(
        [COMMAND, "once", "--seconds", "0.3", *_flags(node, tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("batch 1 of epoch ")
    assert list(node.bodies) == [1]


def test_once_that_reaches_nobody_fails_and_keeps_the_window(node: Node, tmp_path: Path) -> None:
    flags = [*_flags(node, tmp_path), "--set", "destination.url=http://127.0.0.1:1"]
    ran = subprocess.run(
        [COMMAND, "once", "--seconds", "0", *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 1
    assert "sending to http://127.0.0.1:1/v1/metrics" in ran.stderr
    spool = Spool(tmp_path / "spool.db")
    assert spool.counts().spooled == 1
    spool.close()
