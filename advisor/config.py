"""Where settings come from: file over default, environment over file, flag over environment.

Every value keeps its origin for `config`; an unknown key is an error that names its nearest.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from advisor.errors import SettingsError
from advisor.settings import (
    HIDDEN,
    Assess,
    Data,
    Otlp,
    Report,
    Settings,
    TokenFiles,
    Web,
)

DEFAULT_FILE = Path("/etc/joulewise/joulewise.toml")
ENVIRONMENT_PREFIX = "JOULEWISE_"
AGENT_PREFIX = "JOULEWISE_AGENT_"
SECTIONS: Mapping[str, type] = {
    "data": Data,
    "web": Web,
    "otlp": Otlp,
    "tokens": TokenFiles,
    "assess": Assess,
    "report": Report,
}
CREDENTIALS: Mapping[tuple[str, str], str] = {
    ("tokens", "ingest_file"): "ingest_token",
    ("tokens", "read_file"): "read_token",
    ("tokens", "write_file"): "write_token",
    ("tokens", "admin_file"): "admin_token",
    ("report", "smtp_password_file"): "smtp_password",
}
"""Settings that systemd's credentials fill, by the credential's name."""

Key = tuple[str, str]
"""Section and name."""


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
            for name, hint in get_type_hints(kind, include_extras=True).items():
                value = getattr(getattr(self.settings, section), name)
                hidden = HIDDEN in hint.__metadata__ and bool(value)
                shown_value = "(set, not shown)" if hidden else shown(value)
                yield f"{section}.{name}", shown_value, self.origins.get((section, name), "default")


def load(
    path: Path | None, environment: Mapping[str, str], flags: Mapping[Key, Any] | None = None
) -> Loaded:
    """Read the settings once. `path` None is the usual file, if it exists; a flag None is not set.

    Raises:
        SettingsError: a file, key or value cannot be used.
    """
    values: dict[Key, Value] = dict(_from_systemd(environment))
    values.update(_from_file(path or DEFAULT_FILE, required=path is not None))
    values.update(_from_environment(environment))
    for key, raw in (flags or {}).items():
        if raw is not None:
            values[key] = Value(raw, "flag")
    parts: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        hints = get_type_hints(kind)
        given = {name: value for (of, name), value in values.items() if of == section}
        parts[section] = kind(
            **{name: _converted(section, name, v, hints[name]) for name, v in given.items()}
        )
    return Loaded(Settings(**parts), {key: value.origin for key, value in values.items()})


def _from_systemd(environment: Mapping[str, str]) -> Iterator[tuple[Key, Value]]:
    if folder := environment.get("STATE_DIRECTORY"):
        yield ("data", "directory"), Value(folder, "$STATE_DIRECTORY")
    if folder := environment.get("CREDENTIALS_DIRECTORY"):
        for key, name in CREDENTIALS.items():
            if _holds_text(file := Path(folder) / name):
                yield key, Value(str(file), "$CREDENTIALS_DIRECTORY")


def _holds_text(credential: Path) -> bool:
    """The shipped unit hands over a blank for a secret that is not set."""
    return credential.exists() and bool(credential.read_bytes().strip())


def _from_file(path: Path, *, required: bool) -> Iterator[tuple[Key, Value]]:
    for section, table in read_toml(path, "settings", required=required).items():
        _require_known(f"section {section!r}", section, list(SECTIONS), str(path))
        if not isinstance(table, dict):
            raise SettingsError(
                f"reading the settings {path}: {section} is no table; write [{section}]"
            )
        for name, raw in table.items():
            _require_name(section, name, str(path))
            yield (section, name), Value(raw, str(path))


def read_toml(path: Path, what: str, *, required: bool) -> dict[str, Any]:
    """A TOML document, empty if it may be absent and is.

    Raises:
        SettingsError: it cannot be read, or is not TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not required:
            return {}
        raise SettingsError(
            f"reading the {what} {path}: {error.strerror}; name a file that can be read"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"reading the {what} {path}: {error}; correct the line") from error


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[Key, Value]]:
    """JOULEWISE_SECTION__KEY; other variables of ours have no double underscore."""
    for variable, raw in sorted(environment.items()):
        if variable.startswith(AGENT_PREFIX) or not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        section, parts, name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if parts:
            _require_known(f"section {section!r}", section, list(SECTIONS), f"${variable}")
            _require_name(section, name, f"${variable}")
            yield (section, name), Value(raw, f"${variable}")


def _require_name(section: str, name: str, origin: str) -> None:
    known = [field.name for field in fields(SECTIONS[section])]
    _require_known(f"setting {section}.{name}", name, known, origin)


def _require_known(what: str, word: str, known: list[str], origin: str) -> None:
    if word not in known:
        raise SettingsError(f"reading the settings: {unknown(what, word, known, origin)}")


def unknown(what: str, word: str, known: list[str], origin: str) -> str:
    """What to say of an unknown word: the nearest known one, else all of them."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown {what} in {origin}; {hint}"


def _converted(section: str, name: str, value: Value, kind: Any) -> Any:
    try:
        return _convert(value.raw, kind)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"reading the settings: {section}.{name} = {value.raw!r} in {value.origin} is no "
            f"{_word(kind)}"
        ) from error


def _convert(raw: Any, kind: Any) -> Any:
    if kind is bool:
        return _bool(raw)
    if kind == tuple[str, ...]:
        parts = raw.split(",") if isinstance(raw, str) else raw
        return tuple(_text(part).strip() for part in parts if _text(part).strip())
    if kind == Path | None:
        return Path(_text(raw)) if raw else None
    if kind is int:
        return _int(raw)
    return Path(_text(str(raw) if isinstance(raw, Path) else raw)) if kind is Path else _text(raw)


def _text(raw: Any) -> str:
    if not isinstance(raw, str | Path):
        raise TypeError(raw)
    return str(raw)


def _int(raw: Any) -> int:
    if isinstance(raw, bool | float):
        raise TypeError(raw)
    return int(raw)


def _bool(raw: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(raw, bool):
        return raw
    if not isinstance(raw, str) or raw.lower() not in words:
        raise ValueError(raw)
    return words[raw.lower()]


def _word(kind: Any) -> str:
    names = {bool: "true or false", int: "whole number", str: "text"}
    return names.get(kind, "list of words" if kind == tuple[str, ...] else "path")


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
