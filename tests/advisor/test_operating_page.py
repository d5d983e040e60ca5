"""What the operating page tells people to write is what the programs read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from advisor.cli import app
from advisor.config import load
from advisor.deployments import read_deployments
from advisor.score.objective import PROFILES
from agent.config import load as load_agent

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "example.toml"
    path.write_text(text)
    if "[[deployment]]" in text:
        assert read_deployments(path)
    elif "[[destination]]" in text:
        assert load_agent(path, {}, ()).settings.destination
    else:
        assert str(path) in [origin for *_, origin in load(path, {}).lines()]


def test_every_command_is_named() -> None:
    names = {one.callback.__name__ for one in app.registered_commands if one.callback}
    assert not [name for name in names if f"joulewise {name}" not in PAGE]


def test_every_profile_is_named() -> None:
    assert not [name for name in PROFILES if f"| `{name}` |" not in PAGE]
