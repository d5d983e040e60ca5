"""Where packaged data lies: in the checkout while there is one, else in the installed package."""

from __future__ import annotations

from pathlib import Path

from agent.errors import AgentError

_PACKAGE = Path(__file__).parent


def packaged(name: str) -> Path:
    """A file or folder such as `systemd/joulewise-agent.service`.

    Raises:
        AgentError: the installation lacks it.
    """
    checkout = _PACKAGE.parent
    root = checkout if (checkout / "pyproject.toml").exists() else _PACKAGE / "_data"
    path = root / name
    if not path.exists():
        raise AgentError(f"looking for {name}: {path} is missing; install joulewise again")
    return path
