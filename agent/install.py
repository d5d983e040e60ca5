"""Puts the agent's unit and configuration in place and starts it, saying each step before it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

UNIT = "joulewise-agent.service"
CONFIGURATION = Path("/etc/joulewise/agent.toml")
UNITS = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that installing does: how it reads, and the doing."""

    text: str
    apply: Callable[[], object]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _systemctl(*words: str) -> Step:
    command = ("systemctl", *words)
    return Step("run " + " ".join(command), lambda: subprocess.run(command, check=True))  # noqa: S603 - fixed words


def unit_text(shipped: str) -> str:
    """The shipped unit, with the path of the program that is installing it."""
    return shipped.replace("/opt/joulewise/bin", str(Path(sys.argv[0]).resolve().parent))


def configuration_text(advisor: str) -> str:
    """A configuration that sends to one advisor; the rest are defaults."""
    return f'[[destination]]\nurl = "{advisor}"\n'


def steps(shipped_unit: str, advisor: str) -> Iterator[Step]:
    """What installing does on this node, in order. An existing configuration is kept."""
    unit = UNITS / UNIT
    yield Step(f"write {unit}", lambda: _write(unit, unit_text(shipped_unit)))
    if CONFIGURATION.exists():
        yield Step(f"keep {CONFIGURATION}", lambda: None)
    else:
        text = configuration_text(advisor)
        yield Step(f"write {CONFIGURATION}", lambda: _write(CONFIGURATION, text))
    yield _systemctl("daemon-reload")
    yield _systemctl("enable", "--now", UNIT)
