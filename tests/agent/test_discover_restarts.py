"""An engine that comes, goes and comes back changed, over HTTP on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent.discover import Surroundings
from agent.errors import NoData
from agent.instances import LOOK_AGAIN_S, InstanceCollector
from agent.settings import Engine
from agent.window import INFO, Observation


class Served:
    """What the engine answers now, and how often it was asked for its version."""

    def __init__(self) -> None:
        self.version = "1"
        self.started_s: float | None = 100.0
        self.is_up = True
        self.asked = 0
        self.url = ""

    def page(self, path: str) -> bytes | None:
        if not self.is_up:
            return None
        if path == "/version":
            self.asked += 1
            return b'{"version": "%s"}' % self.version.encode()
        text = b'vllm:num_requests_running{model_name="m"} 1\n'
        if self.started_s is not None:
            text += b"process_start_time_seconds %d\n" % self.started_s
        return text if path == "/metrics" else None


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = state.page(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    server.server_close()


def collector(served: Served, *gpus: str) -> InstanceCollector:
    engine = Engine(url=served.url, kind="vllm", gpus=gpus)
    return InstanceCollector(engine, "host", Surroundings)


def version(observations: list[Observation]) -> str:
    (info,) = [dict(r.attributes) for o in observations for r in o.readings if r.signal == INFO]
    return info["joulewise.engine.version"]


def test_an_engine_is_asked_what_it_is_once_while_it_answers(served: Served) -> None:
    instance = collector(served, "GPU-a")
    for at_s in (1.0, 2.0, 3.0):
        assert version(list(instance.collect(at_s))) == "1"
    assert served.asked == 1


def test_an_engine_that_was_away_is_asked_again(served: Served) -> None:
    instance = collector(served, "GPU-a")
    served.is_up = False
    with pytest.raises(NoData):
        instance.collect(1.0)
    served.is_up = True
    instance.collect(2.0)
    served.is_up = False
    with pytest.raises(NoData):
        instance.collect(3.0)
    served.is_up, served.version = True, "2"
    assert version(list(instance.collect(4.0))) == "2"


def test_an_engine_that_restarted_between_two_reads_is_asked_again(served: Served) -> None:
    instance = collector(served, "GPU-a")
    instance.collect(1.0)
    served.started_s, served.version = 200.0, "2"
    instance.collect(2.0)
    assert version(list(instance.collect(3.0))) == "2"
    instance.collect(4.0)
    assert served.asked == 2


def test_an_instance_without_known_gpus_is_looked_at_again_later(served: Served) -> None:
    instance = collector(served)
    for at_s in (0.0, LOOK_AGAIN_S - 1.0, LOOK_AGAIN_S, LOOK_AGAIN_S + 1.0):
        instance.collect(at_s)
    assert served.asked == 2
