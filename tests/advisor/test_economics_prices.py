"""The dated price table and its guards."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from advisor.catalog.prices import PRICES, Price, PriceError, price, with_prices


def own(usd: float, since: date = date(2026, 11, 1)) -> Price:
    return Price("h100", usd, since, since, "our contract")


def test_the_price_in_force_is_the_latest_that_began():
    book = with_prices([own(3.0, date(2026, 9, 1)), own(4.0, date(2026, 10, 1))])
    assert price("h100", date(2026, 9, 30), book).usd_per_gpu_hour == 3.0
    assert price("h100", datetime(2026, 10, 1, 5, tzinfo=UTC), book).usd_per_gpu_hour == 4.0


def test_history_keeps_the_price_of_its_day():
    book = with_prices([own(3.0, date(2026, 11, 1))])
    assert price("h100", date(2026, 10, 1), book).source.startswith("median")


def test_an_unknown_gpu_or_a_day_before_the_table_has_no_price():
    assert price("abacus", date(2026, 11, 1)) is None
    assert price("h100", date(2020, 1, 1)) is None


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan")])
def test_a_price_that_is_not_positive_is_refused(usd: float):
    with pytest.raises(PriceError, match="give a price above 0"):
        with_prices([own(usd)])


@pytest.mark.parametrize("usd", [0.5, 31.92])
def test_a_price_far_from_the_median_is_refused(usd: float):
    with pytest.raises(PriceError, match="one GPU and one hour"):
        with_prices([own(usd)])


def test_every_shipped_row_lies_inside_the_range_it_was_made_from():
    for row in PRICES:
        assert 0 < row.lowest <= row.usd_per_gpu_hour <= row.highest
        assert row.source
        assert row.effective_from <= row.as_of
