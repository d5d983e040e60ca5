"""What the agent says about itself: events with fields, one line each, on standard error."""

from __future__ import annotations

import json
import logging
import sys

_LOGGER = logging.getLogger("joulewise.agent")


def event(level: int, name: str, /, **fields: object) -> None:
    """Log an event: its name, then key=value pairs; a value with spaces or quotes is quoted."""
    _LOGGER.log(
        level, " ".join([name, *(f"{key}={_shown(value)}" for key, value in fields.items())])
    )


def to_standard_error() -> None:
    """Send events to standard error, where journald stamps them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    _LOGGER.handlers = [handler]
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    plain = bool(text) and text.isprintable() and not any(char in ' "=' for char in text)
    return text if plain else json.dumps(text)
