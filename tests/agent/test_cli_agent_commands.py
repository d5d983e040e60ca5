"""The agent's commands as a person runs them: output, messages and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "joulewise-agent"
PAGE = """# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-aa",device="nvidia0",modelName="NVIDIA H100 80GB HBM3"} 412.5
"""


def _run(*words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=60,
    )


def test_it_says_its_version() -> None:
    assert _run("--version").stdout.startswith("joulewise-agent 0.")


def test_read_prints_readings_as_json(tmp_path: Path) -> None:
    page = tmp_path / "page.prom"
    page.write_text(PAGE)
    ran = _run("read", "--source", "dcgm", page, "--json")
    assert ran.returncode == 0, ran.stderr
    power = next(one for one in json.loads(ran.stdout) if one["signal"] == "hw.power")
    assert (power["value"], power["unit"], power["kind"]) == (412.5, "W", "gauge")
    assert power["attributes"]["hw.id"] == "GPU-aa"


def test_read_takes_a_page_from_its_input() -> None:
    ran = _run("read", "--source", "auto", "-", stdin=PAGE)
    assert ran.returncode == 0, ran.stderr
    assert "hw.power" in ran.stdout


@pytest.mark.parametrize(
    ("words", "stdin", "code", "message"),
    [
        (("read", "--source", "vllm", "-"), PAGE, 2, "dcgm"),
        (("read", "--source", "dcgm", "-"), "", 2, "the page is empty"),
        (("read", "--source", "abacus", "-"), PAGE, 2, "no such source"),
        (("read", "--source", "dcgm", "/none"), "", 1, "No such file"),
        (("config", "check", "--set", "agent.window=1"), "", 2, "did you mean 'window_s'?"),
        (("run", "--config", "/none.toml"), "", 2, "No such file"),
    ],
)
def test_what_goes_wrong_ends_in_one_line_and_a_code(
    words: tuple[str, ...], stdin: str, code: int, message: str
) -> None:
    ran = _run(*words, stdin=stdin)
    assert ran.returncode == code
    assert ran.stdout == ""
    assert ran.stderr.startswith("joulewise-agent: ")
    assert message in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_config_check_shows_values_and_origins_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[[engine]]\nurl = "http://127.0.0.1:1"\ncommand = "vllm --api-key hunter2"\n')
    ran = _run("config", "check", "--config", path, "--set", "agent.window_s=30")
    assert ran.returncode == 0
    assert "hunter2" not in ran.stdout
    rows = {line.split()[0]: line.split()[1:] for line in ran.stdout.splitlines()}
    assert rows["agent.window_s"] == ["30", "flag"]
    assert rows["engine.0.url"] == ["http://127.0.0.1:1", str(path)]


def test_install_says_what_it_would_do() -> None:
    ran = _run("install", "--advisor", "https://advisor.example:4318", "--dry-run")
    assert ran.returncode == 0
    assert "write /etc/systemd/system/joulewise-agent.service" in ran.stdout
