"""The systemd unit asks for what the agent does, and the node has an identity."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from pathlib import Path

import pytest

from agent.assembly import identity
from agent.cli import app
from agent.errors import AgentError, SettingsError
from agent.locate import packaged
from agent.notify import notify
from agent.service import WATCHDOG_S
from agent.settings import Agent, Dcgm, Engine, Settings
from agent.sources import groups


def _unit() -> dict[str, list[str]]:
    values: defaultdict[str, list[str]] = defaultdict(list)
    for line in packaged("systemd/joulewise-agent.service").read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[key].append(value)
    return values


def test_the_unit_starts_commands_that_exist() -> None:
    known = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    (start,) = _unit()["ExecStart"]
    program, word = start.split()
    assert Path(program).name == "joulewise-agent"
    assert word in known


def test_the_unit_waits_for_three_missed_signs_of_life() -> None:
    unit = _unit()
    assert unit["Type"] == ["notify"]
    assert float(unit["WatchdogSec"][0]) == 3 * WATCHDOG_S


def test_the_unit_runs_without_root_capabilities_or_other_devices() -> None:
    unit = _unit()
    assert unit["DynamicUser"] == unit["NoNewPrivileges"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["DevicePolicy"] == ["closed"]
    assert all(device.startswith("char-nvidia") for device in unit["DeviceAllow"])
    assert "MemoryDenyWriteExecute" not in unit  # the driver's libraries need it


def test_the_units_folder_is_the_default_one() -> None:
    (name,) = _unit()["StateDirectory"]
    assert Agent().state_directory == Path("/var/lib") / name


def test_packaged_data_that_is_missing_is_said() -> None:
    with pytest.raises(AgentError, match="install joulewise again"):
        packaged("systemd/none.service")


def test_without_systemd_nobody_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_an_abstract_socket_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"joulewise-test-notify-{os.getpid()}"
        systemd.bind(f"\0{name}")
        systemd.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_a_node_is_known_by_its_machine_id(tmp_path: Path) -> None:
    machine_id = tmp_path / "machine-id"
    machine_id.write_text("0123abcd\n")
    assert identity(Agent(), machine_id) == ("0123abcd", socket.gethostname())
    assert identity(Agent(host_id="a", host_name="b"), tmp_path / "none") == ("a", "b")


@pytest.mark.parametrize("text", [None, "", "uninitialized\n"])
def test_a_node_without_an_id_is_told_to_set_one(tmp_path: Path, text: str | None) -> None:
    machine_id = tmp_path / "machine-id"
    if text is not None:
        machine_id.write_text(text)
    with pytest.raises(SettingsError, match=r"set agent\.host_id"):
        identity(Agent(), machine_id)


def test_every_engine_has_a_thread_of_its_own() -> None:
    settings = Settings(
        dcgm=Dcgm(url="http://127.0.0.1:9400/metrics"),
        engine=(Engine(url="http://127.0.0.1:8000"), Engine(url="http://127.0.0.1:8001")),
    )
    found = groups(settings, host_id="h", agent_id="e")
    assert [(group.name, group.interval_s) for group in found] == [
        ("nvml", 1.0),
        ("dcgm", 15.0),
        ("auto:h:8000", 5.0),
        ("auto:h:8001", 5.0),
        ("agent", 15.0),
    ]
