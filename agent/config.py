"""Where settings come from: file over default, environment over file, flag over environment.

Every value keeps its origin for `config check`; an unknown key is an error that names its nearest.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from agent.convert import convert
from agent.errors import SettingsError
from agent.settings import (
    HIDDEN,
    Agent,
    Dcgm,
    Destination,
    Engine,
    Gpu,
    Settings,
    Spooling,
)

DEFAULT_FILE = Path("/etc/joulewise/agent.toml")
ENVIRONMENT_PREFIX = "JOULEWISE_AGENT_"
SECTIONS: Mapping[str, type] = {
    "agent": Agent,
    "gpu": Gpu,
    "dcgm": Dcgm,
    "engine": Engine,
    "spool": Spooling,
    "destination": Destination,
}
REPEATED = frozenset({"engine", "destination"})

Key = tuple[str, int, str]
"""Section, position in a repeated section (else 0), name."""


@dataclass(frozen=True, slots=True)
class Value:
    """A raw value and where it was written."""

    raw: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each key that is not a default where it came from."""

    settings: Settings
    origins: Mapping[Key, str]

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Every setting as (key, value, origin); secrets are not shown."""
        for section, kind in SECTIONS.items():
            found = getattr(self.settings, section)
            for index, part in enumerate(found if section in REPEATED else (found,)):
                for name, hint in get_type_hints(kind, include_extras=True).items():
                    key = (
                        f"{section}.{index}.{name}" if section in REPEATED else f"{section}.{name}"
                    )
                    value = getattr(part, name)
                    hidden = HIDDEN in hint.__metadata__ and bool(value)
                    shown = "(set, not shown)" if hidden else _shown(value)
                    yield key, shown, self.origins.get((section, index, name), "default")


def load(path: Path | None, environment: Mapping[str, str], flags: Sequence[str] = ()) -> Loaded:
    """Read the settings once. `path` None is the usual file, if it exists.

    Flags are `section.key=value`; `engine.1.url=...` is the second engine, no number the first.

    Raises:
        SettingsError: a file, key or value cannot be used.
    """
    values: dict[Key, Value] = dict(_systemd(environment))
    values.update(_from_file(path or DEFAULT_FILE, required=path is not None))
    values.update(_from_environment(environment))
    values.update(_from_flags(flags))
    for key, value in _credentials(environment, values):
        values.setdefault(key, value)
    parts: dict[str, Any] = {
        section: _repeated(section, values) if section in REPEATED else _part(section, 0, values)
        for section in {section for section, _, _ in values}
    }
    return Loaded(Settings(**parts), {key: value.origin for key, value in values.items()})


def _systemd(environment: Mapping[str, str]) -> Iterator[tuple[Key, Value]]:
    if folder := environment.get("STATE_DIRECTORY"):
        yield ("agent", 0, "state_directory"), Value(folder, "$STATE_DIRECTORY")


def _credentials(
    environment: Mapping[str, str], values: Mapping[Key, Value]
) -> Iterator[tuple[Key, Value]]:
    """Tokens that systemd hands over: `<name>_token` of a destination, else `token`."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    indices = {index for section, index, _ in values if section == "destination"} or {0}
    for index in sorted(indices):
        named = values.get(("destination", index, "name"))
        name = named.raw if named else Destination().name
        for file in (Path(folder) / f"{name}_token", Path(folder) / "token"):
            if file.exists():
                yield (
                    ("destination", index, "token_file"),
                    Value(str(file), "$CREDENTIALS_DIRECTORY"),
                )
                break


def _from_file(path: Path, *, required: bool) -> Iterator[tuple[Key, Value]]:
    for section, content in _document(path, required=required).items():
        _require_section(section, str(path))
        tables = content if section in REPEATED else [content]
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            form = f"[[{section}]]" if section in REPEATED else f"[{section}]"
            raise SettingsError(f"reading the settings {path}: {section} is no table; write {form}")
        for index, table in enumerate(tables):
            if section in REPEATED and not table:
                raise SettingsError(
                    f"reading the settings {path}: an empty [[{section}]]; give it a url"
                )
            for name, raw in table.items():
                _require_name(section, name, str(path))
                yield (section, index, name), Value(raw, str(path))


def _document(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not required:
            return {}
        raise SettingsError(
            f"reading the settings {path}: {error.strerror}; name another file with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"reading the settings {path}: {error}; correct the line") from error


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[Key, Value]]:
    for variable, raw in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX):
            words = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            yield _key(words, f"${variable}"), Value(raw, f"${variable}")


def _from_flags(flags: Sequence[str]) -> Iterator[tuple[Key, Value]]:
    for flag in flags:
        name, equals, raw = flag.partition("=")
        if not equals:
            raise SettingsError(f"reading the flag {flag!r}: no value; write section.key=value")
        yield _key(name.split("."), f"flag {name}"), Value(raw, "flag")


def _key(words: Sequence[str], origin: str) -> Key:
    section, *rest = words
    _require_section(section, origin)
    index = 0
    if section in REPEATED and len(rest) > 1 and re.fullmatch(r"\d{1,2}", rest[0]):
        index, rest = int(rest[0]), rest[1:]
    name = ".".join(rest)
    _require_name(section, name, origin)
    return section, index, name


def _require_section(section: str, origin: str) -> None:
    if section not in SECTIONS:
        raise SettingsError(_unknown(f"section {section!r}", section, list(SECTIONS), origin))


def _require_name(section: str, name: str, origin: str) -> None:
    known = [field.name for field in fields(SECTIONS[section])]
    if name not in known:
        raise SettingsError(_unknown(f"setting {section}.{name}", name, known, origin))


def _unknown(what: str, word: str, known: list[str], origin: str) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"reading the settings: unknown {what} in {origin}; {hint}"


def _repeated(section: str, values: Mapping[Key, Value]) -> tuple[Any, ...]:
    indices = sorted({index for name, index, _ in values if name == section})
    if indices != list(range(len(indices))):
        raise SettingsError(
            f"reading the settings: {section}.{indices[-1]} is set, but not every one before it; "
            "number them from 0"
        )
    return tuple(_part(section, index, values) for index in indices)


def _part(section: str, index: int, values: Mapping[Key, Value]) -> Any:
    hints = get_type_hints(SECTIONS[section])
    given = {
        name: _converted(f"{section}.{name}", value, hints[name])
        for (of, at, name), value in values.items()
        if (of, at) == (section, index)
    }
    return SECTIONS[section](**given)


def _converted(key: str, value: Value, kind: Any) -> Any:
    try:
        return convert(value.raw, kind)
    except ValueError as error:
        raise SettingsError(
            f"reading the settings: {key} = {value.raw!r} in {value.origin} is not {error}"
        ) from error


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
