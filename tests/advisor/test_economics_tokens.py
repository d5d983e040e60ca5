"""Unit costs against worked examples, and parts that sum to the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.economics.owned import OwnedServer
from advisor.economics.tokens import split, usd_per_million

SERVER = OwnedServer(price_usd=325_000, gpus=8)


def test_straight_line_energy_and_operation_make_the_owned_gpu_hour():
    energy = SERVER.energy(7_000, pue=1.3, usd_per_kwh=0.10)
    assert SERVER.straight_line() == pytest.approx(1.0600, abs=5e-5)
    assert energy == pytest.approx(0.1161, abs=5e-5)
    assert SERVER.operation() == pytest.approx(0.2650, abs=5e-5)
    assert SERVER.straight_line() + energy + SERVER.operation() == pytest.approx(1.4411, abs=5e-5)


def test_the_annuity_adds_what_capital_costs():
    energy = SERVER.energy(7_000, pue=1.3, usd_per_kwh=0.10)
    assert SERVER.annuity(0.08) == pytest.approx(1.3650, abs=5e-5)
    assert SERVER.annuity(0.08) + energy + SERVER.operation() == pytest.approx(1.7460, abs=1e-4)


def test_an_all_in_colocation_replaces_the_energy():
    whole = SERVER.straight_line() + SERVER.colocation(180, 10_200) + SERVER.operation()
    assert whole == pytest.approx(1.6458, abs=5e-5)


def test_rented_h100s_at_ten_thousand_tokens_a_second():
    assert usd_per_million(3.99 * 8, 10_000 * 3600) == pytest.approx(0.8867, abs=5e-5)


def test_the_split_of_a_known_hour():
    prices = split(31.92, input_tokens=15e6, cached_tokens=25e6, output_tokens=10e6)
    assert prices.input == pytest.approx(0.5551, abs=5e-5)
    assert prices.cached == pytest.approx(0.0555, abs=5e-5)
    assert prices.output == pytest.approx(2.2205, abs=5e-5)


tokens = st.floats(0, 1e12)


@given(cost=st.floats(0.01, 1e6), new=tokens, cached=tokens, out=st.floats(1, 1e12))
def test_the_parts_of_a_split_sum_to_the_cost(cost: float, new: float, cached: float, out: float):
    prices = split(cost, input_tokens=new, cached_tokens=cached, output_tokens=out)
    whole = (prices.input * new + prices.cached * cached + prices.output * out) / 1e6
    assert whole == pytest.approx(cost)


def test_no_tokens_have_no_price():
    assert split(1.0, input_tokens=0, cached_tokens=0, output_tokens=0) is None
    assert usd_per_million(1.0, 0.0) is None
    assert usd_per_million(None, 5.0) is None
