"""Settings come in layers; a word that is not known is answered with its nearest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from advisor.config import load
from advisor.errors import SettingsError
from advisor.settings_reference import reference

SETTINGS_PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "joulewise.toml"
    path.write_text(text)
    return path


def test_without_anything_the_advisor_listens_on_loopback(tmp_path: Path) -> None:
    settings = load(written(tmp_path, ""), {}).settings
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert (settings.otlp.host, settings.otlp.port) == ("127.0.0.1", 4318)


def test_flag_over_environment_over_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[web]\nport = 1\n[otlp]\nport = 2\n[report]\nhour = 3\n")
    environment = {"JOULEWISE_WEB__PORT": "10", "JOULEWISE_OTLP__PORT": "20"}
    loaded = load(path, environment, {("web", "port"): 100, ("web", "host"): None})
    assert (loaded.settings.web.port, loaded.settings.otlp.port) == (100, 20)
    assert loaded.settings.report.hour == 3
    origins = {key: origin for key, _, origin in loaded.lines()}
    assert origins["web.port"] == "flag"
    assert origins["otlp.port"] == "$JOULEWISE_OTLP__PORT"
    assert origins["report.hour"] == str(path)
    assert origins["web.host"] == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[web]\nprot = 1", "did you mean 'port'"),
        ("[wbe]\nport = 1", "did you mean 'web'"),
        ("web = 1", r"write \[web\]"),
        ("[web]\nport = 'x'", "no whole number"),
        ("[web]\nport = 70000", "is no port"),
        ("[web]\nport = 8080.5", "no whole number"),
        ("[web]\nsecure_cookies = 'maybe'", "true or false"),
        ("[web]\nhost = 1", "no text"),
        ("[report]\nzone = 'Mars/Olympus'", "Europe/Berlin"),
        ("[report]\nweekday = 'someday'", "monday"),
        ("[report]\nsmtp_security = 'ssl'", "starttls"),
        ("[assess]\nevery_minutes = 7", "divide an hour"),
        ("[web", "correct the line"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(written(tmp_path, text), {})


def test_an_unknown_variable_is_an_error_and_the_agents_are_not_ours(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    load(path, {"JOULEWISE_AGENT_SPOOL__MAX_BYTES": "1", "JOULEWISE_PAGES": "x"})
    with pytest.raises(SettingsError, match="did you mean 'port'"):
        load(path, {"JOULEWISE_WEB__PROT": "1"})


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "absent.toml", {})


def test_credentials_and_state_come_from_systemd(tmp_path: Path) -> None:
    (tmp_path / "read_token").write_text("x" * 20)
    (tmp_path / "ingest_token").write_text("\n")  # what the unit gives for one that is not set
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": "/var/lib/x"}
    settings = load(written(tmp_path, ""), environment).settings
    assert settings.tokens.read_file == tmp_path / "read_token"
    assert settings.tokens.ingest_file is None
    assert settings.data.directory == Path("/var/lib/x")


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path, "[data]\nstate_url = 'postgresql+psycopg://u:secret@h/d'")
    assert not any("secret" in value for _, value, _ in load(path, {}).lines())


def test_lists_are_words(tmp_path: Path) -> None:
    path = written(tmp_path, "[report]\nrecipients = ['a@x', 'b@x']")
    assert load(path, {}).settings.report.recipients == ("a@x", "b@x")
    said = {"JOULEWISE_REPORT__RECIPIENTS": "c@x, d@x"}
    assert load(path, said).settings.report.recipients == ("c@x", "d@x")


def test_the_page_of_settings_is_current() -> None:
    if os.environ.get("JOULEWISE_REWRITE"):
        SETTINGS_PAGE.write_text(reference())
    assert SETTINGS_PAGE.read_text() == reference(), "JOULEWISE_REWRITE=1 writes it anew"
