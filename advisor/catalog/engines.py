"""Serving engines: the exact flag, key or checkpoint choice behind each knob, and their weights."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any


class EngineError(LookupError):
    """An engine or a knob that the catalog has no entry for."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting of one engine. `sets` is flag, yaml or checkpoint; a switch is on or off."""

    name: str
    key: str
    sets: str
    values: Mapping[str, str] = field(default_factory=dict)
    switch: bool = False
    since: str | None = None
    until: str | None = None

    def value(self, wanted: str | float) -> str:
        """What to write after the key for a precision word or a number."""
        if self.switch:
            return "true" if float(wanted) > 1 else "false"
        return self.values.get(str(wanted), str(wanted))


@cache
def _table() -> Mapping[str, Any]:
    text = files("advisor.catalog").joinpath("data/engines.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def knobs(engine: str) -> tuple[Knob, ...]:
    """Every knob of an engine, renames as entries of their own."""
    return tuple(Knob(**row) for row in _table().get(engine, {}).get("knob", ()))


ENGINES: tuple[str, ...] = tuple(_table())
"""Engines whose flags are known."""


def weights_served(engine: str) -> tuple[str, ...]:
    """Weight precisions an engine serves; none for an engine without an entry."""
    return tuple(_table().get(engine, {}).get("weights", ()))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _holds(knob: Knob, version: str | None) -> bool:
    """Whether a knob is of this version; an unknown version is taken as the newest."""
    if version is None:
        return knob.until is None
    numbers = _numbers(version)
    starts = knob.since is None or numbers >= _numbers(knob.since)
    return starts and (knob.until is None or numbers < _numbers(knob.until))


def flag(engine: str, knob: str, version: str | None = None) -> Knob:
    """The setting behind `knob` in this engine and version.

    Raises:
        EngineError: if the catalog has no such engine or the engine no such knob.
    """
    known = knobs(engine)
    if not known:
        raise EngineError(
            f"no flags known of engine {engine!r}; known engines: {', '.join(ENGINES)}"
        )
    for entry in known:
        if entry.name == knob and _holds(entry, version):
            return entry
    names = ", ".join(sorted({entry.name for entry in known}))
    raise EngineError(f"engine {engine!r} has no knob {knob!r}; it has {names}")
