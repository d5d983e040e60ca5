"""Figures of one instance from hourly rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.score.curve import response_curve
from advisor.score.histogram import pool, quantile, share_within
from advisor.score.measure import measure, rows_of, workload
from advisor.score.objective import PROFILES, objective_of
from advisor.summary import Deployment, HourHistogram


def rows(fleet):
    return rows_of(fleet.instance_hours, fleet.instances[0])


def histogram(bounds, counts) -> HourHistogram:
    return HourHistogram(np.array([*bounds, np.inf]), np.array(counts, dtype=float), 1.0)


def test_a_quantile_lies_inside_its_bucket():
    assert quantile(histogram([1, 2, 4], [0, 10, 0, 0]), 0.5) == pytest.approx(1.5)


def test_a_quantile_in_the_open_bucket_is_the_least_it_can_be():
    assert quantile(histogram([1, 2], [0, 0, 5]), 0.95) == 2.0


def test_no_counts_have_no_quantile():
    assert quantile(pool([None, histogram([1], [0, 0])]), 0.5) is None


@given(
    counts=st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(any),
    q=st.floats(0.01, 0.99),
)
def test_the_share_within_a_quantile_is_that_quantile(counts, q):
    one = histogram([1, 2, 4], counts)
    value = quantile(one, q)
    if value < 4:
        assert share_within(one, value) >= q - 1e-9


def test_hours_are_pooled_by_their_counts():
    both = pool([histogram([1, 2], [10, 0, 0]), histogram([1, 2], [0, 30, 0])])
    assert quantile(both, 0.25) == pytest.approx(1.0)
    assert quantile(both, 0.5) == pytest.approx(1 + 1 / 3)


def test_measured_figures_are_those_the_instance_was_built_with(fleet_builder):
    one = fleet_builder.Serving("a", "h", tokens_per_s=500.0, running=20.0, power_w=400.0)
    fleet = fleet_builder.build([one])
    measured = measure(rows(fleet), fleet.instances[0], PROFILES["balanced"], None)
    assert measured.output_tokens_per_s == pytest.approx(500.0)
    assert measured.running_mean_busy == pytest.approx(20.0)
    assert measured.power_w == pytest.approx(400.0)
    assert measured.tpot_p50_s == pytest.approx(one.tpot_s, rel=0.1)
    assert measured.busy_ratio == 1.0
    assert measured.slo_ratio == pytest.approx(1.0, abs=0.01)


def test_idle_hours_lower_the_rate_but_not_the_busy_rate(fleet_builder):
    one = fleet_builder.Serving("a", "h", tokens_per_s=500.0, busy_hours=tuple(range(84)))
    fleet = fleet_builder.build([one])
    measured = measure(rows(fleet), fleet.instances[0], PROFILES["balanced"], None)
    assert measured.busy_ratio == pytest.approx(0.5)
    assert measured.output_tokens_per_s == pytest.approx(250.0)
    assert measured.busy_output_tokens_per_s == pytest.approx(500.0)
    assert measured.idle_power_w == pytest.approx(one.idle_power_w)


def test_rows_of_an_older_configuration_do_not_count(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h")])
    fleet.instance_hours.config_digest[:100] = "older"
    assert workload(rows(fleet)).hours == 68


def test_what_was_not_observed_is_absent(fleet_builder):
    fleet = fleet_builder.without(
        fleet_builder.build([fleet_builder.Serving("a", "h")]),
        instance=["waiting_time_s", "gpu_energy_j"],
    )
    measured = measure(rows(fleet), fleet.instances[0], PROFILES["balanced"], None)
    assert measured.waiting_mean is None
    assert measured.power_w is None


def test_the_response_curve_shows_the_load_that_was_there(fleet_builder):
    one = fleet_builder.Serving("a", "h", gpus=2, tokens_per_s=500.0, running=20.0, power_w=400.0)
    fleet = fleet_builder.build([one])
    curve = response_curve(rows(fleet), fleet.instances[0])
    (point,) = curve.points
    assert point.running == pytest.approx(20.0)
    assert point.output_tokens_per_s == pytest.approx(500.0)
    assert point.power_w == pytest.approx(400.0)
    assert point.tpot_s == pytest.approx(one.tpot_s, rel=0.1)


def test_limits_not_declared_come_from_the_profile():
    chat = Deployment("chat", (), None, profile="interactive", ttft_p95_s=0.3)
    objective = objective_of(chat)
    assert (objective.ttft_p95_s, objective.tpot_p95_s) == (0.3, 0.025)
    assert objective.source == "deployment chat"
    assert objective_of(None).source == "profile balanced"
