"""Pages over HTTP: limits, tokens and refusals, against a server on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.errors import NoData
from agent.fetch import MAX_BYTES, HttpFetch


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            getattr(self, self.path.strip("/"))()
        except (BrokenPipeError, ConnectionResetError):
            return

    def metrics(self) -> None:
        self._answer(200, b"a 1\n")

    def token(self) -> None:
        self._answer(200, (self.headers["Authorization"] or "none").encode())

    def off(self) -> None:
        self._answer(404, b"")

    def huge(self) -> None:
        self._answer(200, b"x" * (MAX_BYTES + 1))

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"a 1\n")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_page_is_its_bytes(address: str) -> None:
    with HttpFetch(f"{address}/metrics", timeout_s=5.0) as fetch:
        assert fetch() == b"a 1\n"


def test_the_token_is_read_anew_from_its_file(address: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    with HttpFetch(f"{address}/token", timeout_s=5.0, token_file=file) as fetch:
        file.write_text("one\n")
        assert fetch() == b"Bearer one"
        file.write_text("two\n")
        assert fetch() == b"Bearer two"


def test_a_token_file_that_is_not_there_is_named(address: str, tmp_path: Path) -> None:
    with (
        HttpFetch(f"{address}/token", timeout_s=5.0, token_file=tmp_path / "none") as fetch,
        pytest.raises(NoData, match="none"),
    ):
        fetch()


def test_metrics_that_are_switched_off_are_told_from_nobody_there(address: str) -> None:
    with (
        HttpFetch(f"{address}/off", timeout_s=5.0) as fetch,
        pytest.raises(NoData, match=r"HTTP 404.*switched off"),
    ):
        fetch()
    with (
        HttpFetch("http://127.0.0.1:1/metrics", timeout_s=5.0) as fetch,
        pytest.raises(NoData, match="is it running there"),
    ):
        fetch()


def test_an_answer_too_large_is_refused(address: str) -> None:
    with (
        HttpFetch(f"{address}/huge", timeout_s=5.0) as fetch,
        pytest.raises(NoData, match="larger than"),
    ):
        fetch()


def test_an_answer_that_drips_ends_at_the_time_limit(address: str) -> None:
    started_s = time.monotonic()
    with (
        HttpFetch(f"{address}/drip", timeout_s=0.3) as fetch,
        pytest.raises(NoData, match="took longer"),
    ):
        fetch()
    assert time.monotonic() - started_s < 2.0
