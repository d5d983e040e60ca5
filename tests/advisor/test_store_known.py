"""Known sequences are a set of integers, kept as ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from advisor.store.known import Sequences


@given(st.lists(st.integers(0, 40)))
def test_ranges_hold_exactly_what_was_added(numbers: list[int]) -> None:
    held = Sequences()
    added = [held.add(number) for number in numbers]
    assert added == [number not in numbers[:at] for at, number in enumerate(numbers)]
    assert {n for n in range(-1, 42) if n in held} == set(numbers)
    flat = [n for first, last in held.ranges for n in range(first, last + 1)]
    assert flat == sorted(set(numbers))
    assert all(a[1] + 1 < b[0] for a, b in zip(held.ranges, held.ranges[1:], strict=False))
