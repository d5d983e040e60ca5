"""Frozen dataclasses as JSON and back, by their annotations; a NaN becomes null and null a NaN."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_text(value: Any) -> str:
    """A dataclass as JSON text, the same text for equal values."""
    return json.dumps(plain(value), sort_keys=True, allow_nan=False)


def from_text(kind: type[T], text: str) -> T:
    """The dataclass that `to_text` wrote; a field that is not known is ignored: versions differ.

    Raises:
        ValueError, TypeError, KeyError: the text is not of that kind.
    """
    built: T = _built(kind, json.loads(text))
    return built


def plain(value: Any) -> Any:
    """Dataclasses, times and enumerations as what JSON has."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_leaf(value)


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _built(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        return None if value is None else _built(_some(kind), value)
    if origin is tuple:
        return tuple(_built(get_args(kind)[0], item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _built(get_args(kind)[1], item) for key, item in value.items()}
    return _built_plain(kind, value)


def _built_plain(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(
            **{name: _built(hints[name], item) for name, item in value.items() if name in hints}
        )
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is float:
        return math.nan if value is None else float(value)
    return value


def _some(kind: Any) -> Any:
    """X of `X | None`."""
    return next(one for one in get_args(kind) if one is not type(None))
