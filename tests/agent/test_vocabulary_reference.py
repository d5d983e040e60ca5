"""The vocabulary and its reference, docs/signals.md."""

from __future__ import annotations

import re
from pathlib import Path

from agent.vocabulary import PART_ATTRIBUTES, RANK_ATTRIBUTES, SIGNALS, markdown

REFERENCE = Path(__file__).parents[2] / "docs" / "signals.md"
UNITS = {"1", "By", "By/s", "Cel", "Hz", "J", "W", "s"}


def test_the_reference_is_current() -> None:
    advice = (
        "write it anew: python -c 'import agent.vocabulary as v; print(v.markdown(), end=str())'"
    )
    assert REFERENCE.read_text() == markdown(), advice


def test_units_are_base_units_or_counted_things() -> None:
    assert all(s.unit in UNITS or re.fullmatch(r"\{[a-z]+\}", s.unit) for s in SIGNALS.values())


def test_names_are_dotted_and_lower_case() -> None:
    names = {*SIGNALS, *RANK_ATTRIBUTES, *PART_ATTRIBUTES}
    names |= {attribute for signal in SIGNALS.values() for attribute in signal.attributes}
    assert not [n for n in names if not re.fullmatch(r"[a-z][a-z0-9]*([._][a-z0-9]+)*", n)]


def test_levels_that_are_only_shown_have_an_integral_or_a_counter_that_is_shipped() -> None:
    for signal in SIGNALS.values():
        if not signal.shipped and signal.kind == "gauge" and signal.name.endswith(".active"):
            time = signal.name.removesuffix(".active") + ".active_time"
            assert {time, signal.name.replace("throttle.active", "throttle.time")} & set(SIGNALS)
