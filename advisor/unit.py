"""The shipped systemd unit, with the path of the program that prints it."""

from __future__ import annotations

from pathlib import Path

from advisor.errors import AdvisorError

UNIT = "systemd/joulewise-advisor.service"
SHIPPED_PROGRAM = "/opt/joulewise/bin/joulewise"

_PACKAGE = Path(__file__).parent


def unit_text(program: Path) -> str:
    """The unit that starts `program`.

    Raises:
        AdvisorError: the installation lacks it, or systemd cannot start a program of that path.
    """
    if not program.is_absolute() or any(letter.isspace() for letter in str(program)):
        raise AdvisorError(
            f"writing the unit: systemd cannot start {str(program)!r}; install joulewise into a "
            "folder without blanks in its path and run its joulewise unit"
        )
    return _shipped().read_text(encoding="utf-8").replace(SHIPPED_PROGRAM, str(program))


def _shipped() -> Path:
    checkout = _PACKAGE.parent
    root = checkout if (checkout / "pyproject.toml").exists() else _PACKAGE / "_data"
    if not (root / UNIT).exists():
        raise AdvisorError(
            f"reading the unit {root / UNIT}: it is missing; install joulewise again"
        )
    return root / UNIT
