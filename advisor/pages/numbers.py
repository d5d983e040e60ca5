"""Figures as people read them: 2 to 3 significant digits, milliseconds, percent; also in the mail.

An absent figure is an en dash here; the exact value goes beside it into a title.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

ABSENT = EN_DASH = "\u2013"
MINUS = "\u2212"
_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def known(value: float | None) -> bool:
    """Whether there is a figure at all."""
    return value is not None and math.isfinite(value)


def significant(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits with thousands separated: 1,230 or 0.0312."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{round(value, places):,.{max(places, 0)}f}"
    return text.replace("-", MINUS)


def scaled(value: float | None, digits: int = 3) -> str:
    """A count with k, M, B or T: 14.2 B."""
    if value is None or not math.isfinite(value):
        return ABSENT
    for scale, letter in _SCALES:
        if abs(value) >= scale:
            return f"{significant(value / scale, digits)} {letter}"
    return significant(value, digits)


def usd(value: float | None, digits: int = 3) -> str:
    """Dollars: $0.912, $12.3, $1,230, $12.9k."""
    if value is None or not math.isfinite(value):
        return ABSENT
    sign = MINUS if value < 0 else ""
    size = abs(value)
    for scale, letter in ((1e6, "M"), (1e4, "k")):
        if size >= scale:
            divisor = 1e3 if letter == "k" else scale
            return f"{sign}${significant(size / divisor, digits)}{letter}"
    return f"{sign}${significant(size, digits)}"


def percent(ratio: float | None, digits: int = 2) -> str:
    """A ratio as percent: 63 %, 99.3 %."""
    if ratio is None or not math.isfinite(ratio):
        return ABSENT
    value = ratio * 100
    if 99 <= abs(value) < 100:
        return f"{math.floor(value * 10) / 10:.1f} %"
    return f"{significant(value, max(digits, 3) if abs(value) >= 100 else digits)} %"


def signed_percent(ratio: float | None) -> str:
    """A change with its sign: +4.2 %."""
    if ratio is None or not math.isfinite(ratio):
        return ABSENT
    return f"{'+' if ratio >= 0 else MINUS}{significant(abs(ratio) * 100, 2)} %"


def milliseconds(seconds: float | None) -> str:
    """A latency: milliseconds below one second."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds >= 1:
        return f"{significant(seconds)} s"
    return f"{significant(seconds * 1000)} ms"


def watts(value: float | None) -> str:
    """Watts, kilowatts from ten thousand."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{significant(value / 1000)} kW" if abs(value) >= 10_000 else f"{significant(value)} W"


def kilowatt_hours(joules: float | None) -> str:
    """Joules as kWh, MWh from ten thousand."""
    if joules is None or not math.isfinite(joules):
        return ABSENT
    kwh = joules / 3.6e6
    return f"{significant(kwh / 1000)} MWh" if abs(kwh) >= 10_000 else f"{significant(kwh)} kWh"


def exact(value: float | None, unit: str = "") -> str:
    """All the digits worth having, for a title; or that there is no data."""
    if value is None or not math.isfinite(value):
        return "no data"
    return f"{value:.10g} {unit}".strip()


def span(low: float | None, high: float | None) -> str:
    """Two bounds as one: 61 to 68, or 61 where they agree."""
    left, right = significant(low, 2), significant(high, 2)
    return left if left == right else f"{left}{EN_DASH}{right}"


def moment(value: datetime | None) -> str:
    """A time in UTC: Mon 23 Nov 09:00."""
    return value.strftime("%a %d %b %H:%M UTC") if value else ABSENT


def duration(value: timedelta) -> str:
    """How long: 40 s, 12 min, 5 h, 3 d."""
    seconds = max(0.0, value.total_seconds())
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (size == 60 and seconds >= size):
            return f"{seconds // size:.0f} {word}"
    return f"{seconds:.0f} s"


def short_model(name: str | None) -> str:
    """A model without its owner: Llama-3.3-70B-Instruct."""
    return name.rsplit("/", 1)[-1] if name else ABSENT


def product(name: str) -> str:
    """A GPU without its maker: H100 80GB HBM3."""
    return name.removeprefix("NVIDIA ")
