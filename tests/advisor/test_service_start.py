"""What stands in the way of a start is said in one line, and what is there stays as it is."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from advisor.cli import app
from advisor.doctor import findings
from advisor.settings import Data, Otlp, Report, Settings, Web
from advisor.store.folder import open_folder
from advisor.tokens import new_secret

Start = Callable[..., str]


@pytest.fixture
def own_log() -> Iterator[None]:
    """A start takes over the log; other tests get theirs back."""
    logger = logging.getLogger("joulewise")
    before = (logger.handlers, logger.propagate, logger.level)
    yield
    logger.handlers, logger.propagate, logger.level = before


@pytest.fixture
def refused(tmp_path: Path, own_log: None) -> Start:
    """Starts an advisor that cannot serve; what it says."""

    def start(data: Path, *words: str, port: int = 0, config: str = "", status: int = 1) -> str:
        path = tmp_path / "joulewise.toml"
        path.write_text(config)
        flags = ("--data", data, "--port", port, "--otlp-port", 0, "--config", path)
        result = CliRunner().invoke(app, ["serve", *map(str, flags), *words])
        assert result.exit_code == status, result.output
        assert result.output.count("\n") == 1
        return result.output

    return start


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_is_named_with_its_setting(
    refused: Start, tmp_path: Path, taken_port: int
) -> None:
    said = refused(tmp_path / "data", port=taken_port)
    assert f"listening on 127.0.0.1:{taken_port}: Address already in use" in said
    assert "web.port" in said
    assert not (tmp_path / "data").exists()


def test_a_folder_of_something_else_is_left_as_it_is(refused: Start, tmp_path: Path) -> None:
    data = tmp_path / "photos"
    data.mkdir()
    (data / "cat.jpg").write_bytes(b"meow")
    assert "it holds cat.jpg and is not Joulewise's" in refused(data)
    assert [entry.name for entry in data.iterdir()] == ["cat.jpg"]


@pytest.mark.parametrize(
    ("marker", "words"),
    [("{}", "is not Joulewise's"), ('{"format": 99}', "its format is 99")],
)
def test_a_folder_of_another_format_is_refused(
    refused: Start, tmp_path: Path, marker: str, words: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "joulewise.json").write_text(marker)
    assert words in refused(data)


def test_a_second_advisor_on_the_same_data_names_the_first(refused: Start, tmp_path: Path) -> None:
    with open_folder(tmp_path / "data") as folder:
        holder = (folder.path / "lock").read_text().strip()
        assert f"another advisor (process {holder}) has it" in refused(tmp_path / "data")
    open_folder(tmp_path / "data").close()


def test_a_folder_that_is_a_file_is_refused(refused: Start, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "--data DIR" in refused(tmp_path / "data")


def test_a_telemetry_file_that_is_not_ours_is_refused_and_the_folder_given_back(
    refused: Start, tmp_path: Path
) -> None:
    with open_folder(tmp_path / "data") as folder:
        folder.telemetry.write_text("not a database")
    assert "telemetry.duckdb" in refused(tmp_path / "data")
    open_folder(tmp_path / "data").close()


@pytest.mark.parametrize(
    ("flag", "scope"), [("--host", "read token"), ("--otlp-host", "ingest token")]
)
def test_an_open_address_without_a_token_is_refused(
    refused: Start, tmp_path: Path, flag: str, scope: str
) -> None:
    assert f"no {scope} is set" in refused(tmp_path / "data", flag, "0.0.0.0")
    assert not (tmp_path / "data").exists()


def test_a_token_of_the_other_listener_does_not_open_an_address(
    refused: Start, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(new_secret())
    config = f'[tokens]\ningest_file = "{token}"\n'
    said = refused(tmp_path / "data", "--host", "0.0.0.0", config=config)
    assert "no read token is set" in said


@pytest.mark.parametrize("content", ["", "\n", "short\n"])
def test_a_token_file_without_a_token_is_refused(
    refused: Start, tmp_path: Path, content: str
) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    config = f'[tokens]\nread_file = "{token}"\n'
    assert "at least 16 characters" in refused(tmp_path / "data", config=config, status=2)


def test_doctor_tells_another_program_on_the_port_from_an_advisor(
    tmp_path: Path, taken_port: int
) -> None:
    settings = Settings(data=Data(directory=tmp_path), web=Web(port=taken_port), otlp=Otlp(port=0))
    found = {one.text.partition(":")[0]: one for one in findings(settings)}
    assert not found["web"].is_ok
    assert "Address already in use" in found["web"].text
    assert found["otlp"].is_ok


def test_doctor_asks_for_the_password_that_a_start_would_miss(tmp_path: Path) -> None:
    report = Report(
        recipients=("a@example.com",),
        smtp_user="a",
        smtp_host="mail.example.com",
        smtp_security="tls",
    )
    settings = Settings(
        data=Data(directory=tmp_path), web=Web(port=0), otlp=Otlp(port=0), report=report
    )
    said = [one.text for one in findings(settings) if not one.is_ok]
    assert len(said) == 1
    assert "smtp_password_file" in said[0]
