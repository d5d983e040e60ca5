"""Raw values of TOML, environment and flags as what a setting's type asks for."""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin


def convert(raw: Any, kind: Any) -> Any:
    """The value as `kind`; numbers and lists may be text, and an empty text None where that may be.

    Raises:
        ValueError: it is not; the message says what was expected.
    """
    if isinstance(kind, UnionType):
        if raw == "":
            return None
        kind = next(one for one in get_args(kind) if one is not NoneType)
    kind = get_origin(kind) or kind
    try:
        return _CONVERTERS[kind](raw)
    except (TypeError, ValueError) as error:
        raise ValueError(_EXPECTED[kind]) from error


def _to_text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _to_bool(raw: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(raw, str) and raw.lower() in words:
        return words[raw.lower()]
    if not isinstance(raw, bool):
        raise TypeError
    return raw


def _to_int(raw: Any) -> int:
    if isinstance(raw, (bool, float)):
        raise TypeError
    return int(raw)


def _to_float(raw: Any) -> float:
    number = float("nan") if isinstance(raw, bool) else float(raw)
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


def _to_texts(raw: Any) -> tuple[str, ...]:
    items = [part.strip() for part in raw.split(",")] if isinstance(raw, str) else list(raw)
    if not all(isinstance(item, (str, int)) and not isinstance(item, bool) for item in items):
        raise TypeError
    return tuple(str(item) for item in items if item != "")


_CONVERTERS = {
    str: _to_text,
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    Path: lambda raw: Path(_to_text(raw)),
    tuple: _to_texts,
}
_EXPECTED = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number from 0 on",
    Path: "a path",
    tuple: "a list of names",
}
