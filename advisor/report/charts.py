"""The mail's chart as a PNG at twice its shown size, on an opaque ground for light and dark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO

import numpy as np

from advisor.pages import numbers
from advisor.pages.trend import Steps
from advisor.summary import Floats

WIDTH, HEIGHT, SCALE = 592, 176, 2
GROUND, TEXT, MUTED, LINE, ACCENT = "#f1f3f5", "#14181f", "#5b6472", "#d5dae1", "#0b6e4f"


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with what it says in words; width and height as shown."""

    png: bytes
    finding: str
    alt: str
    width: int = WIDTH
    height: int = HEIGHT


def course_picture(course: Steps, start: datetime, end: datetime) -> Picture | None:
    """Output tokens and joules a token over the range; None where too few steps are known."""
    joules = course.joules_per_token
    if np.isfinite(joules).sum() < 3:
        return None
    finding = _finding(joules)
    alt = (
        f"{finding}. J per output token ran from {numbers.significant(float(np.nanmin(joules)))} "
        f"to {numbers.significant(float(np.nanmax(joules)))}; output tokens in "
        f"{len(joules)} equal steps from {numbers.scaled(float(np.nanmin(course.tokens)))} "
        f"to {numbers.scaled(float(np.nanmax(course.tokens)))}."
    )
    return Picture(_draw(course, joules, start, end), finding, alt)


def _finding(joules: Floats) -> str:
    known = joules[np.isfinite(joules)]
    spread = float(known.max() / known.min()) if known.min() > 0 else np.inf
    if spread < 1.1:
        return "A token cost much the same joules all week"
    worst = numbers.significant(spread, 2)
    return f"A token cost {worst} times as many joules at its worst as at its best"


def _days(moment: datetime) -> float:
    """Days since 1970, as matplotlib counts time."""
    return moment.timestamp() / 86400


def _day_name(days: float, _: object) -> str:
    return datetime.fromtimestamp(days * 86400, UTC).strftime("%a %d")


def _draw(course: Steps, joules: Floats, start: datetime, end: datetime) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter

    inch = 100.0
    figure = Figure(figsize=(WIDTH / inch, HEIGHT / inch), dpi=inch * SCALE, facecolor=GROUND)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.06, 0.15, 0.92, 0.75))
    axes.set_facecolor(GROUND)
    first, last = _days(start), _days(end)
    width = (last - first) / len(joules)
    centres = first + width * (np.arange(len(joules)) + 0.5)
    axes.bar(centres, course.tokens, width=width * 0.82, color=LINE, zorder=1)
    axes.set_ylim(0, float(np.nanmax(course.tokens)) * 1.9)
    axes.set_yticks([])
    right = axes.twinx()
    right.plot(centres, joules, color=ACCENT, linewidth=1.6, zorder=3)
    right.set_ylim(0, float(np.nanmax(joules)) * 1.15)
    right.yaxis.tick_left()
    right.tick_params(axis="y", length=0, labelsize=6.5, labelcolor=MUTED)
    axes.set_xlim(first, last)
    axes.xaxis.set_major_locator(FixedLocator([*range(math.ceil(first), math.floor(last) + 1)]))
    axes.xaxis.set_major_formatter(FuncFormatter(_day_name))
    axes.tick_params(axis="x", length=0, labelsize=6.5, labelcolor=MUTED)
    for frame in (axes, right):
        for spine in frame.spines.values():
            spine.set_visible(False)
    right.axhline(0, color=LINE, linewidth=1)
    figure.text(0.06, 0.925, "J per output token (line)", size=7, color=ACCENT)
    figure.text(0.98, 0.925, "output tokens (bars)", size=7, color=MUTED, ha="right")
    file = BytesIO()
    figure.savefig(file, format="png", facecolor=GROUND)
    return file.getvalue()
