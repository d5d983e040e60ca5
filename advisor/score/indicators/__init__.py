"""The indicators of the five dimensions, each a function of one instance's situation.

An indicator without its data has no points; nothing here fills in what was not observed.
"""

from __future__ import annotations

from collections.abc import Callable

from advisor.score.indicators import architecture, ecosystem, multidimensional, roi, scale
from advisor.score.indicators.view import Kind, View
from advisor.score.result import Indicator

INDICATORS: tuple[Callable[[View], Indicator | None], ...] = (
    *scale.INDICATORS,
    *multidimensional.INDICATORS,
    *architecture.INDICATORS,
    *roi.INDICATORS,
    *ecosystem.INDICATORS,
)
"""Every indicator, in the order of the dimensions. None means it does not apply."""


KINDS: tuple[Kind, ...] = (
    *scale.KINDS,
    *multidimensional.KINDS,
    *architecture.KINDS,
    *roi.KINDS,
    *ecosystem.KINDS,
)
"""What stays the same of each indicator, in the same order."""


def indicators(view: View) -> tuple[Indicator, ...]:
    """All indicators that apply to an instance."""
    return tuple(found for one in INDICATORS if (found := one(view)) is not None)
