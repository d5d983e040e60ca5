"""Change at matched load: what traffic cannot move, and what a better configuration does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.pages.trend import (
    joules_change,
    steps,
    usd_change,
    volume_change,
)
from advisor.summary import INSTANCE_COLUMNS, RUNNING_BINS, InstanceHours


def hours(tokens: list[float], joules: list[float], seconds: list[float]) -> InstanceHours:
    """One instance of two GPUs for an hour, its load in the first bins."""
    columns = {name: np.full(1, np.nan) for name in INSTANCE_COLUMNS}
    columns["gpu_count"] = np.array([2.0])
    columns["observed_s"] = np.array([3600.0])
    columns["output_tokens"] = np.array([sum(tokens)])
    columns["gpu_energy_j"] = np.array([sum(joules)])

    def row(values: list[float]) -> np.ndarray:
        return np.array([values + [0.0] * (len(RUNNING_BINS) - len(values))])

    return InstanceHours(
        host_id=np.array(["n"]), instance_id=np.array(["i"]), config_digest=np.array(["d"]),
        hour=np.array(["2026-11-20T00"], dtype="datetime64[h]"), columns=columns,
        load_time_s=row(seconds), load_output_tokens=row(tokens), load_energy_j=row(joules), histograms={},
    )  # fmt: skip


@given(st.floats(0.05, 20), st.floats(0.05, 20))
def test_a_change_of_traffic_is_no_change_of_efficiency(low: float, high: float) -> None:
    before = hours([100.0, 900.0], [500.0, 900.0], [1800.0, 1800.0])
    now = hours([100 * low, 900 * high], [500 * low, 900 * high], [1800 * low, 1800 * high])
    for change in (joules_change(now, before), usd_change(now, before)):
        assert change is not None
        assert change.ratio == pytest.approx(0, abs=1e-9)


def test_fewer_joules_at_the_same_load_are_seen_whatever_the_traffic() -> None:
    before = hours([100.0, 900.0], [500.0, 900.0], [1800.0, 1800.0])
    now = hours([1000.0, 90.0], [4500.0, 81.0], [18000.0, 180.0])
    change = joules_change(now, before)
    assert change is not None
    assert change.ratio == pytest.approx(-0.1)


def test_too_little_matched_load_is_no_answer() -> None:
    assert (
        joules_change(hours([0, 900.0], [0, 900.0], [0, 1.0]), hours([10.0], [10.0], [1.0])) is None
    )


def test_a_range_before_that_was_half_observed_gives_no_change_of_volume(web: ModuleType) -> None:
    now = web.instance_hours(web.NOW - timedelta(hours=168), 168)
    assert volume_change(now, web.instance_hours(web.NOW - timedelta(hours=250), 80)) is None
    assert volume_change(now, web.instance_hours(web.NOW - timedelta(hours=336), 168)) is not None


def test_steps_sum_to_the_whole_and_a_step_without_data_is_absent(web: ModuleType) -> None:
    table = web.instance_hours(web.NOW - timedelta(hours=168), 168)
    span = (web.NOW - timedelta(hours=168), web.NOW)
    course = steps(table, {}, span=span, count=28)
    assert np.nansum(course.tokens) == pytest.approx(np.nansum(table.columns["output_tokens"]))
    assert np.isnan(course.usd).all()
    first = table.hour < table.hour.min() + np.timedelta64(6, "h")
    blind = {name: np.where(first, np.nan, values) for name, values in table.columns.items()}
    assert np.isnan(steps(replace(table, columns=blind), {}, span=span, count=28).tokens[0])


def test_a_steady_spend_is_flat_where_the_range_does_not_divide_into_hours(web: ModuleType) -> None:
    start = web.NOW - timedelta(hours=168)
    table = web.instance_hours(start, 169)
    last = table.hour == table.hour.max()
    observed_s = np.where(last, 2700.0, 3600.0)
    table = replace(table, columns={**table.columns, "observed_s": observed_s})
    one = {str(name): 1.0 for name in table.instance_id}
    spent = steps(table, one, span=(start, web.NOW + timedelta(minutes=45)), count=28).usd
    assert spent == pytest.approx(np.full(28, spent.mean()))
