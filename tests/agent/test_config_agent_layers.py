"""Settings come in layers, each value with its origin, and slips are answered with the nearest name."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from agent.config import REPEATED, SECTIONS, Loaded, load
from agent.errors import SettingsError
from agent.settings import Destination, Engine, Settings

ROOT = Path(__file__).parents[2]


def _file(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def _line(loaded: Loaded, key: str) -> tuple[str, str]:
    return next((value, origin) for name, value, origin in loaded.lines() if name == key)


def test_defaults_are_a_usable_configuration(tmp_path: Path) -> None:
    assert load(_file(tmp_path, ""), {}).settings == Settings()
    assert Settings().destination[0].url == "http://127.0.0.1:4318"


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = _file(tmp_path, "[gpu]\ninterval_s = 2\n[agent]\nwindow_s = 30\nmax_gap_s = 10\n")
    environment = {"JOULEWISE_AGENT_AGENT__WINDOW_S": "20", "JOULEWISE_AGENT_GPU__NVML": "no"}
    loaded = load(path, environment, ["agent.window_s=15"])
    assert _line(loaded, "agent.window_s") == ("15", "flag")
    assert _line(loaded, "gpu.nvml") == ("false", "$JOULEWISE_AGENT_GPU__NVML")
    assert _line(loaded, "agent.max_gap_s") == ("10", str(path))
    assert _line(loaded, "dcgm.interval_s") == ("15", "default")


def test_repeated_sections_are_numbered_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        '[[engine]]\nurl = "http://127.0.0.1:8000"\ngpus = [0, "GPU-aa"]\n'
        '[[engine]]\nurl = "http://127.0.0.1:8001"\nmemory_utilization = 0.9\n',
    )
    environment = {"JOULEWISE_AGENT_ENGINE__1__TENSOR_PARALLEL": "4"}
    first, second = load(path, environment, ["engine.model=m"]).settings.engine
    assert (first.gpus, first.model) == (("0", "GPU-aa"), "m")
    assert (second.tensor_parallel, second.memory_utilization) == (4, 0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[agent]\nwindows_s = 1\n",
            "unknown setting agent.windows_s in FILE; did you mean 'window_s'?",
        ),
        ("[agnet]\n", "unknown section 'agnet' in FILE; did you mean 'agent'?"),
        ("[agent]\nxyzzy = 1\n", "known are host_id, host_name"),
        ("[agent]\nwindow_s = 7\n", "agent.window_s = 7 does not divide an hour; use 60"),
        ('[agent]\nwindow_s = "soon"\n', "agent.window_s = 'soon' in FILE is not a number"),
        ("[gpu]\nnvml = 3\n", "gpu.nvml = 3 in FILE is not true or false"),
        ("[gpu]\ninterval_s = 0\n", "not above 0"),
        ("[agent]\nhost_id = 3\n", "agent.host_id = 3 in FILE is not a text"),
        ("[agent\n", "correct the line"),
        ("[destination]\nurl = 'http://a'\n", "destination is no table; write [[destination]]"),
        ("agent = 3\n", "agent is no table; write [agent]"),
        ("[[destination]]\nurl = 'ftp://a'\n", "is no http:// or https:// address"),
        ("[[destination]]\nurl = 'http://a:port'\n", "is no http:// or https:// address"),
        ("[[destination]]\nurl = 'http://me:hunter2@a'\n", "carries a user name or password"),
        ("[[destination]]\nclient_key_file = '/k'\n", "mTLS needs both"),
        ("[[destination]]\nbacklog_batches = 0\n", "backlog_batches is not above 0"),
        (
            "[[destination]]\ntimeout_s = 1\n[[destination]]\ntimeout_s = 1\n",
            "two [[destination]] are named advisor",
        ),
        ("[[destination]]\n", "an empty [[destination]]; give it a url"),
        ("[[engine]]\nkind = 'vllm'\n", "engine.url = '' is no http"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert message.replace("FILE", str(path)) in str(caught.value)
    assert str(caught.value).startswith("reading the settings")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "flags", "message"),
    [
        ({"JOULEWISE_AGENT_AGENT__WINDOWS": "1"}, [], "did you mean 'window_s'?"),
        ({"JOULEWISE_AGENT_GPUS__NVML": "1"}, [], "did you mean 'gpu'?"),
        ({}, ["agent.window_s"], "no value; write section.key=value"),
        ({}, ["engine.1.url=http://127.0.0.1:1"], "number them from 0"),
    ],
)
def test_slips_in_environment_and_flags_are_said(
    tmp_path: Path, environment: dict[str, str], flags: list[str], message: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        load(_file(tmp_path, ""), environment, flags)


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file or directory; name another"):
        load(tmp_path / "none.toml", {})


def test_commands_of_engines_are_not_shown(tmp_path: Path) -> None:
    path = _file(
        tmp_path, '[[engine]]\nurl = "http://a"\ncommand = "vllm serve m --api-key hunter2"\n'
    )
    loaded = load(path, {})
    assert _line(loaded, "engine.0.command") == ("(set, not shown)", str(path))
    assert loaded.settings.engine[0].command.endswith("hunter2")


def test_systemd_gives_folder_and_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "west_token").write_text("t")
    path = _file(tmp_path, "[[destination]]\ntimeout_s = 1\n[[destination]]\nname = 'west'\n")
    environment = {"STATE_DIRECTORY": "/state", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    settings = load(path, environment).settings
    assert settings.agent.state_directory == Path("/state")
    assert [one.token_file for one in settings.destination] == [
        tmp_path / "token",
        tmp_path / "west_token",
    ]


def test_a_token_file_that_was_set_wins_over_a_credential(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    path = _file(tmp_path, "[[destination]]\ntoken_file = '/mine'\n")
    settings = load(path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).settings
    assert settings.destination[0].token_file == Path("/mine")


def _rows() -> list[tuple[str, str]]:
    rows = []
    for section, kind in SECTIONS.items():
        hints = get_type_hints(kind, include_extras=True)
        for key in fields(kind):
            value = key.default
            shown = f"{value:g}" if isinstance(value, float) else str(value).lower()
            default = "" if value in (None, "", ()) else f"`{shown}`"
            row = f"| `{key.name}` | {default} | {hints[key.name].__metadata__[0]} |"
            rows.append((f"[[{section}]]" if section in REPEATED else f"[{section}]", row))
    return rows


@pytest.mark.parametrize(("section", "row"), _rows())
def test_every_setting_is_documented_with_its_default(section: str, row: str) -> None:
    text = (ROOT / "docs" / "agent.md").read_text()
    part = text.split(f"\n### `{section}`\n", 1)[1].split("\n#", 1)[0]
    assert row in part.splitlines()


def test_every_section_is_a_frozen_table_of_values() -> None:
    assert all(is_dataclass(kind) for kind in SECTIONS.values())
    with pytest.raises(AttributeError):
        Destination().url = "http://elsewhere"  # type: ignore[misc]
    assert Engine(url="http://a").kind == "auto"
