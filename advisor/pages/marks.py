"""The small drawings inside tables: sparklines and bars as numbers that templates put into SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.advise.recommendation import Recommendation
from advisor.pages.numbers import ABSENT, EN_DASH
from advisor.score.result import DIMENSIONS, Score, Scorecard
from advisor.summary import Floats

WIDTH, HEIGHT, EDGE = 96.0, 24.0, 2.0


@dataclass(frozen=True, slots=True)
class Spark:
    """A line in a box of WIDTH by HEIGHT: a path for each run without gaps, its end, its words."""

    paths: tuple[str, ...]
    end: tuple[float, float] | None
    label: str


def spark(values: Sequence[float] | Floats, label: str) -> Spark | None:
    """A sparkline from zero-free bounds; None where fewer than two values are known."""
    series = np.asarray(values, dtype=float)
    known = np.isfinite(series)
    if known.sum() < 2:
        return None
    low, high = float(series[known].min()), float(series[known].max())
    spread = max(high - low, 0.1 * abs(high), 1e-12)
    middle = (high + low) / 2
    x = EDGE + (WIDTH - 2 * EDGE) * np.arange(series.size) / (series.size - 1)
    y = HEIGHT / 2 - (series - middle) / spread * (HEIGHT - 2 * EDGE)
    last = int(np.flatnonzero(known)[-1])
    return Spark(_runs(x, y, known), (round(float(x[last]), 1), round(float(y[last]), 1)), label)


def _runs(x: Floats, y: Floats, known: np.ndarray) -> tuple[str, ...]:
    paths: list[str] = []
    points: list[str] = []
    for at in range(len(x)):
        if known[at]:
            points.append(f"{x[at]:.1f},{y[at]:.1f}")
        elif points:
            paths.append(_path(points))
            points = []
    if points:
        paths.append(_path(points))
    return tuple(paths)


def _path(points: Sequence[str]) -> str:
    """Points as a polyline has them; a point alone twice, so that its round ends show."""
    return " ".join(points if len(points) > 1 else [*points, *points])


@dataclass(frozen=True, slots=True)
class Bar:
    """One dimension: solid to `low`, hatched to `high`, of 100."""

    letter: str
    name: str
    low: float
    high: float


def bars(card: Scorecard | None) -> tuple[Bar, ...]:
    """The five bars of a scorecard; none without one."""
    if card is None:
        return ()
    return tuple(
        Bar("SMART"[at], name, card.dimensions[name].low, card.dimensions[name].high)
        for at, name in enumerate(DIMENSIONS)
        if name in card.dimensions
    )


def score_text(score: Score | None) -> str:
    """A score as its low, with its high where they differ."""
    if score is None:
        return ABSENT
    low, high = f"{score.low:.0f}", f"{score.high:.0f}"
    return low if low == high else f"{low}{EN_DASH}{high}"


@dataclass(frozen=True, slots=True)
class Savings:
    """Dollars a month that open advice is expected to save; `cash` reaches the bill by itself.

    `count` is all of it, `summed` the pieces behind the dollars: the best of each group.
    """

    usd_per_month: float
    cash_usd_per_month: float
    count: int
    summed: int


def savings(recommendations: Sequence[Recommendation]) -> Savings:
    """Sum the best of each exclusive group, so that nothing is saved twice."""
    best: dict[str, Recommendation] = {}
    for item in recommendations:
        held = best.get(item.exclusive_group)
        if held is None or _saving(item) > _saving(held):
            best[item.exclusive_group] = item
    chosen = [item for item in best.values() if _saving(item) > 0]
    cash = sum(_saving(item) for item in chosen if item.cash)
    return Savings(sum(map(_saving, chosen)), cash, len(recommendations), len(chosen))


def _saving(item: Recommendation) -> float:
    cost = item.cost_usd_per_month
    return -cost.expected if cost else 0.0
