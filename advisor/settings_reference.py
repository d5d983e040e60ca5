"""docs/settings.md, made from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

from advisor.config import CREDENTIALS, ENVIRONMENT_PREFIX, SECTIONS, shown

_HEAD = """# Settings of the advisor

Made from advisor/settings.py; a test keeps it so. The agent's are in [agent.md](agent.md).

A flag of `joulewise serve` wins over the environment, the environment over
`/etc/joulewise/joulewise.toml` (`--config FILE` names another), the file over the default. In the
environment a setting is `JOULEWISE_SECTION__KEY`. An unknown key is an error that names its
nearest. `joulewise config` prints every value with its origin.
"""


def reference() -> str:
    """The page."""
    return "\n".join([_HEAD, *(line for section in SECTIONS for line in _section(section))])


def _section(section: str) -> Iterator[str]:
    kind = SECTIONS[section]
    brief = (kind.__doc__ or "").partition(": ")[2]
    yield f"## [{section}]\n"
    yield brief[:1].upper() + brief[1:] + "\n"
    yield "| key | default | meaning | environment |"
    yield "|---|---|---|---|"
    defaults = kind()
    for name, hint in get_type_hints(kind, include_extras=True).items():
        default = _default(getattr(defaults, name))
        meaning = hint.__metadata__[0]
        if credential := CREDENTIALS.get((section, name)):
            meaning += f"; systemd credential `{credential}`"
        variable = f"{ENVIRONMENT_PREFIX}{section}__{name}".upper()
        yield f"| `{name}` ({_kind(hint)}) | {default} | {meaning} | `{variable}` |"
    yield ""


def _default(value: object) -> str:
    text = shown(value)
    return f"`{text}`" if text else "none"


def _kind(hint: object) -> str:
    words = {bool: "true or false", int: "number", str: "text", Path: "path", Path | None: "path"}
    kind = get_args(hint)[0]
    return words.get(kind, "list")
