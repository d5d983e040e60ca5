"""What the figures rest on besides telemetry, as a short list: each price, limit and fit once."""

from __future__ import annotations

from collections.abc import Mapping


def sources(coefficients: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Names and origins in the order of an assessment; limits from one origin share a line."""
    rows: list[tuple[str, str]] = []
    limited: dict[str, list[str]] = {}
    for key, value in coefficients.items():
        kind, _, name = key.partition(":")
        if kind == "limits":
            declared = value == f"deployment {name}"
            limited.setdefault("declared for" if declared else f"{value} for", []).append(name)
        elif kind == "price":
            rows.append((f"Price of {name.upper()}", value.removeprefix(f"{name} ")))
        else:
            rows.append((key.replace("_", " ").capitalize(), value))
    limits = (f"{origin} {', '.join(sorted(names))}" for origin, names in limited.items())
    return (*rows, *(("Latency limits", origin) for origin in limits))
