"""`joulewise report`: files from a running advisor, and clear words where there is none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn
from typer.testing import CliRunner

from advisor.report.cli import FILES, app


@pytest.fixture
def address(web: ModuleType) -> Iterator[str]:
    """Where the synthetic fleet is served."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    served = web.Client(web.backing(web.assessment())).app
    server = uvicorn.Server(uvicorn.Config(served, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def test_a_report_is_three_files(address: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--out", str(tmp_path / "out"), "--url", address])
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert b"data:image/png" in (tmp_path / "out" / "weekly.html").read_bytes()


def test_without_an_advisor_the_next_step_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "joulewise serve" in result.output


def test_a_data_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--data", str(tmp_path / "no")])
    assert result.exit_code == 1
    assert "does not exist" in result.output


def test_sending_to_nobody_is_a_matter_of_settings(tmp_path: Path) -> None:
    settings = tmp_path / "joulewise.toml"
    settings.write_text("[report]\nrecipients = []\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["send", "--config", str(settings)])
    assert result.exit_code == 2
    assert "report.recipients" in result.output
