"""A simulated node is the real agent: killed in its backfill it goes on, and nothing is lost or doubled."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from simulator import fleet, http
from simulator.host import Host
from simulator.node import COARSE_S, aligned

PATIENCE_S = 60.0


class Receiver(ThreadingHTTPServer):
    """Takes batches and keeps each of them by its number."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.batches: dict[int, ExportMetricsServiceRequest] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        request = ExportMetricsServiceRequest.FromString(body)
        named = {a.key: a.value.int_value for a in request.resource_metrics[0].resource.attributes}
        self.server.batches[named["joulewise.batch.sequence"]] = request
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def start(receiver: Receiver, tmp_path: Path) -> Iterator[Callable[[float], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(start_s: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "simulator.node", "--fleet", "story"]
        command += ["--seed", "seed", "--node", "1", "--state", str(tmp_path / "node")]
        command += ["--destination", receiver.url, "--start", str(start_s)]
        command += ["--fine", str(aligned(time.time()))]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _live(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the node says when it goes live."""
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if said["event"] == "live":
            return said
    raise AssertionError("the node ended before it was live")


def _output_tokens(request: ExportMetricsServiceRequest) -> float:
    for scope in request.resource_metrics[0].scope_metrics:
        for metric in scope.metrics:
            for point in metric.sum.data_points:
                named = {a.key: a.value.string_value for a in point.attributes}
                if named.get("joulewise.token.type") == "output":
                    return float(point.as_double)
    raise AssertionError("no output tokens in the batch")


def test_a_node_killed_in_its_backfill_goes_on_where_it_was(
    receiver: Receiver, start: Callable[[float], subprocess.Popen[str]]
) -> None:
    start_s = aligned(time.time()) - 2 * 86_400
    first = start(start_s)
    until_s = time.monotonic() + PATIENCE_S
    while len(receiver.batches) < 20:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    said = _live(start(start_s))

    assert said["produced"] == said["acknowledged"] + said["spooled"]
    assert sorted(receiver.batches) == list(range(1, said["produced"] + 1))
    counted = [_output_tokens(receiver.batches[number]) for number in sorted(receiver.batches)]
    assert counted == sorted(counted)
    node = fleet.story("seed").nodes[1]
    host = Host(node, "seed", start_s)
    for step in range(1, 11):
        host.advance(start_s + COARSE_S * step)
    page = host.page(node.instances[0].id).decode()
    (line,) = (row for row in page.splitlines() if row.startswith("trtllm_generation_tokens_total"))
    assert counted[9] == float(line.rpartition(" ")[2])


def test_engines_answer_over_http_as_the_real_ones_do() -> None:
    node = fleet.story("seed").nodes[0]
    host = Host(node, "seed", time.time() - 60.0)
    host.advance(time.time())
    host.go_live()
    servers = http.serve(host, node)
    try:
        url = servers[node.instances[0].id].url
        assert httpx.get(f"{url}/version").json() == {"version": "0.33.0"}
        (model,) = httpx.get(f"{url}/v1/models").json()["data"]
        assert model["id"] == "meta-llama/Llama-3.3-70B-Instruct"
        assert b"vllm:num_requests_running" in httpx.get(f"{url}/metrics").content
        assert httpx.get(f"{url}/nothing").status_code == httpx.codes.NOT_FOUND
        gpus = httpx.get(f"{servers['dcgm'].url}/metrics").text
        assert gpus.count("DCGM_FI_DEV_POWER_USAGE{") == fleet.GPUS_A_NODE
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
