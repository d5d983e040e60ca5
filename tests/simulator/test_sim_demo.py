"""The demo says what is wrong before anything is started, and leaves nothing running."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from simulator import demo, results
from simulator.children import Child, free_port, require_free, stop
from simulator.errors import DemoError


def _child(tmp_path: Path, code: str) -> Child:
    command = [sys.executable, "-c", code]
    return Child("the child", command, tmp_path / "child.log", os.environ)


def _await_line(child: Child) -> str:
    for _ in range(500):
        if child.lines:
            return child.lines[-1]
        time.sleep(0.02)
    raise AssertionError("the child wrote nothing")


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = CliRunner().invoke(demo.app, ["--port", str(port)])
    assert said.exit_code == 1
    assert f"listening on 127.0.0.1:{port}" in said.output
    assert "--port" in said.output


def test_an_unknown_fleet_is_named_with_those_there_are() -> None:
    said = CliRunner().invoke(demo.app, ["--once", "--fleet", "stroy"])
    assert said.exit_code == 1
    assert "no fleet is called 'stroy'; there are story, drawn" in said.output


def test_a_free_port_is_free() -> None:
    require_free(free_port())


def test_a_child_that_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = _child(tmp_path, "import sys; print('it broke', file=sys.stderr); sys.exit(3)")
    child.wait(time.monotonic() + 10)
    with pytest.raises(DemoError, match=r"the child ended with status 3:\n  it broke"):
        child.check()


def test_children_are_stopped_even_if_they_will_not(tmp_path: Path) -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    child = _child(tmp_path, f"{ignore}; print('up', flush=True); time.sleep(60)")
    _await_line(child)
    child.check()
    child.ask_to_stop()
    child.wait(time.monotonic() + 0.2)
    with pytest.raises(DemoError, match="status -9"):
        child.check()


def test_a_child_that_listens_to_sigterm_is_stopped_by_it(tmp_path: Path) -> None:
    child = _child(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    _await_line(child)
    stop([child])
    with pytest.raises(DemoError, match="status -15"):
        child.check()


def test_settings_of_ones_own_advisor_do_not_reach_the_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOULEWISE_WEB__HOST", "0.0.0.0")
    assert not any(name.startswith("JOULEWISE_") for name in demo._environment())


def test_the_summary_names_advised_nodes_and_those_that_need_nothing() -> None:
    recommendation = {
        "rank": 1,
        "node_ids": ["h100-01"],
        "title": "Raise the batch limit",
        "cost_usd_per_month": {"low": -300.0, "expected": -200.0, "high": -100.0},
    }
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(results.summary([recommendation], ["h100-01", "b200-03"]))
    text = console.export_text()
    assert "Raise the batch limit" in text
    assert "-200 (-300 to -100)" in text
    assert "nothing to change" in text


class _Rest(BaseHTTPRequestHandler):
    """An advisor's lists in two pages and its reports."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        second = "cursor=2" in query
        page = {"items": [{"id": "b" if second else "a"}], "next_cursor": None if second else "2"}
        body = path.encode() if "/reports/" in path else json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing."""


@pytest.fixture
def advisor() -> Iterator[results.Advisor]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Rest)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with results.Advisor(f"http://127.0.0.1:{server.server_address[1]}") as found:
        yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_page_of_a_list_and_the_reports_are_left_as_files(
    advisor: results.Advisor, tmp_path: Path
) -> None:
    results.write(advisor, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(results.FILES)
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == [{"id": "a"}, {"id": "b"}]
    assert (tmp_path / "out" / "weekly.eml").read_text() == "/api/v1/reports/weekly.eml"


def test_a_folder_that_cannot_be_written_is_named(advisor: results.Advisor, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DemoError, match="give another folder with --out"):
        results.write(advisor, tmp_path / "out")


def test_an_advisor_that_does_not_answer_is_not_ready() -> None:
    with results.Advisor(f"http://127.0.0.1:{free_port()}") as nobody:
        assert not nobody.is_ready()
        with pytest.raises(DemoError, match="asking the advisor for /api/v1/scores"):
            nobody.listing("/api/v1/scores")
