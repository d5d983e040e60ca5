"""How figures are written: significant digits, units, absence."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.pages import numbers

WRITERS = (
    numbers.significant, numbers.scaled, numbers.usd, numbers.percent, numbers.signed_percent,
    numbers.milliseconds, numbers.watts, numbers.kilowatt_hours,
)  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_absence_is_a_dash_and_never_zero(write: object, value: float | None) -> None:
    assert write(value) == numbers.ABSENT  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.significant(1234.5), "1,230"),
        (numbers.significant(0.031249), "0.0312"),
        (numbers.significant(0), "0"),
        (numbers.significant(-2.5, 2), "\u22122.5"),
        (numbers.significant(999.7), "1,000"),
        (numbers.scaled(14.23e9), "14.2 B"),
        (numbers.usd(0.9123), "$0.912"),
        (numbers.usd(1234), "$1,230"),
        (numbers.usd(12_900), "$12.9k"),
        (numbers.usd(-2.5e6), "\u2212$2.50M"),
        (numbers.percent(0.634), "63 %"),
        (numbers.percent(0.9939), "99.3 %"),
        (numbers.percent(1.0), "100 %"),
        (numbers.percent(0.9999), "99.9 %"),
        (numbers.signed_percent(-0.031), "\u22123.1 %"),
        (numbers.milliseconds(0.031), "31.0 ms"),
        (numbers.milliseconds(3.4), "3.40 s"),
        (numbers.watts(4362), "4,360 W"),
        (numbers.watts(18_900), "18.9 kW"),
        (numbers.kilowatt_hours(3.6e6 * 640), "640 kWh"),
        (numbers.span(61, 61.2), "61"),
        (numbers.span(61, 68), "61\u201368"),
        (numbers.duration(timedelta(seconds=40)), "40 s"),
        (numbers.duration(timedelta(minutes=1)), "1 min"),
        (numbers.duration(timedelta(hours=5)), "5 h"),
        (numbers.exact(1.23456789012, "W"), "1.23456789 W"),
        (numbers.exact(None), "no data"),
    ],
)
def test_a_figure_is_written_as_people_read_it(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_what_is_written_is_within_half_a_percent_of_the_value(value: float) -> None:
    read = float(numbers.significant(value).replace(",", ""))
    assert abs(read - value) <= 0.00501 * value


@given(st.floats(min_value=0, max_value=0.99999))
def test_less_than_all_is_never_written_as_100_percent(ratio: float) -> None:
    assert float(re.sub(r"[^0-9.]", "", numbers.percent(ratio))) < 100
