"""What the recommendation page adds to its line: the flags to copy and what may be decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.advise.recommendation import FlagChange, Recommendation
from advisor.api import present
from advisor.api.contract import Life
from advisor.api.decide import DismissReason, possible
from advisor.pages import numbers
from advisor.pages.node_view import detail


def flags(change: tuple[FlagChange, ...]) -> str:
    """The proposed flags as one line to paste, and what is no flag below, a line each."""
    line = " ".join(f"{c.key} {c.proposed}" for c in change if c.sets == "flag" and c.proposed)
    removed = [f"remove {c.key}" for c in change if c.proposed is None]
    others = [f"{c.key}: {c.proposed}" for c in change if c.sets != "flag" and c.proposed]
    return "\n".join(part for part in (line, *others, *removed) if part)


def recommendation_values(item: Recommendation, lives: Mapping[str, Life]) -> dict[str, Any]:
    """Everything recommendation.html needs but the visitor's own token."""
    shown = present.recommendation(item, lives)
    energy = item.energy_kwh_per_month
    return {
        "item": item,
        "shown": shown,
        "advice": detail(item, lives),
        "flags": flags(item.change),
        "energy": _energy(energy.low, energy.high) if energy else "not known",
        "energy_title": numbers.exact(energy.expected, "kWh a month expected") if energy else "",
        "verbs": possible(shown.state),
        "reasons": [reason.value for reason in DismissReason],
    }


def _energy(low: float, high: float) -> str:
    """A monthly change as words: 200 to 900 kWh less, or the signed range where it straddles 0."""
    if high <= 0:
        return f"{numbers.significant(-high, 2)} to {numbers.significant(-low, 2)} kWh less"
    if low >= 0:
        return f"{numbers.significant(low, 2)} to {numbers.significant(high, 2)} kWh more"
    return f"{numbers.significant(low, 2)} to +{numbers.significant(high, 2)} kWh"
