"""A figure as a page shows it: its text, the exact value, and what it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from advisor.api.ranges import length
from advisor.assessment import Assessment
from advisor.pages import numbers
from advisor.pages.trend import Change

Write = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Figure:
    """`text` is read, `title` holds the exact value, `href` leads to the resource it came from."""

    text: str
    title: str
    href: str | None = None
    value: float | None = None


def figure(value: float | None, write: Write, unit: str = "", href: str | None = None) -> Figure:
    """A value as `write` puts it, with its exact title."""
    return Figure(write(value), numbers.exact(value, unit), href, value)


@dataclass(frozen=True, slots=True)
class Moved:
    """How a figure changed: its words, and whether that is better, worse or neither."""

    text: str
    title: str
    tone: str = ""


def moved(change: Change | None, basis: str, *, lower_is_better: bool | None = None) -> Moved:
    """A change with what it is measured against."""
    if change is None:
        return Moved("no earlier range to match", "too little of the range before is stored")
    tone = ""
    if lower_is_better is not None and abs(change.ratio) >= 0.005:
        tone = "better" if (change.ratio < 0) == lower_is_better else "worse"
    if abs(change.ratio) < 0.0005:
        return Moved(f"unchanged {basis}", "less than 0.05 % either way")
    return Moved(
        f"{numbers.signed_percent(change.ratio)} {basis}",
        f"{change.ratio * 100:.6g} % against the range before; "
        f"{change.matched * 100:.0f} % of tokens matched",
        tone,
    )


def range_words(assessment: Assessment) -> str:
    """The length of an assessment's range in words: 7 days."""
    size = length(assessment)
    if size >= timedelta(days=2):
        return f"{size / timedelta(days=1):.0f} days"
    return f"{size / timedelta(hours=1):.0f} hours"
