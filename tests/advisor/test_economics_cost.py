"""Cost lines: parts sum to the whole, absence is not zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.catalog.gpus import find_gpu
from advisor.catalog.prices import PRICES, price
from advisor.economics.cost import cost_lines
from advisor.economics.grid import gpu_grid


def lines(fleet, attainable=None):
    types = {gpu.id: find_gpu(gpu.product) for gpu in fleet.gpus}
    rows = cost_lines(fleet, gpu_grid(fleet, types, PRICES), attainable or {})
    return {(row.kind, row.id): row for row in rows}


def test_a_busy_instance_costs_its_gpu_hours(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h", gpus=2, tokens_per_s=1000.0)])
    line = lines(fleet)["instance", "a"]
    usd = price("b200", fleet.start).usd_per_gpu_hour
    assert line.allocated_gpu_hours == pytest.approx(2 * 168)
    assert line.cost_usd == pytest.approx(2 * 168 * usd)
    assert line.idle_cost_usd == pytest.approx(0.0)
    assert line.usd_per_million_output_tokens == pytest.approx(2 * usd / 3.6)
    assert line.joules_per_output_token_gpu == pytest.approx(2 * 600.0 / 1000.0)
    assert line.mean_power_w == pytest.approx(2 * 600.0)


def test_idle_joules_stay_in_the_denominator(fleet_builder):
    one = fleet_builder.Serving("a", "h", busy_hours=tuple(range(84)), tokens_per_s=1000.0)
    line = lines(fleet_builder.build([one]))["instance", "a"]
    assert line.active_gpu_hours == pytest.approx(84)
    assert line.joules_per_output_token_gpu == pytest.approx((600.0 + 150.0) / 1000.0)
    assert line.idle_cost_usd == pytest.approx(line.cost_usd / 2)


def test_effective_hours_weigh_tokens_over_the_attainable(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h", tokens_per_s=1000.0)])
    line = lines(fleet, {"a": 4000.0})["instance", "a"]
    assert line.effective_gpu_hours == pytest.approx(168 / 4)


def test_each_stage_s_dollars_are_its_hours_at_the_price_of_their_own_gpus(fleet_builder):
    half = fleet_builder.Serving("a", "h", busy_hours=tuple(range(84)), tokens_per_s=1000.0)
    rows = lines(fleet_builder.build([half]), {"a": 4000.0})
    usd = price("b200", fleet_builder.build([half]).start).usd_per_gpu_hour
    line = rows["fleet", "fleet"]
    assert line.allocated_cost_usd == pytest.approx(line.allocated_gpu_hours * usd)
    assert line.active_cost_usd == pytest.approx(84 * usd)
    assert line.effective_cost_usd == pytest.approx(21 * usd)
    assert line.cost_usd - line.active_cost_usd == pytest.approx(line.idle_cost_usd)


def test_a_gpu_without_a_process_is_unallocated_cost(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h", gpus=2)])
    alone = replace(fleet, instances=(), deployments=())
    line = lines(alone)["node", "h"]
    assert line.allocated_gpu_hours == 0.0
    assert line.idle_cost_usd == pytest.approx(line.cost_usd)
    assert line.output_tokens is None


def test_a_gpu_without_a_price_has_no_cost(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h")])
    types = {gpu.id: None for gpu in fleet.gpus}
    (line,) = [r for r in cost_lines(fleet, gpu_grid(fleet, types, PRICES), {}) if r.kind == "node"]
    assert line.cost_usd is None
    assert line.usd_per_million_output_tokens is None
    assert line.output_tokens > 0


def test_two_processes_on_one_gpu_share_its_hours(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h"), fleet_builder.Serving("b", "h")])
    shared = tuple(replace(i, gpu_ids=("GPU-h-0",)) for i in fleet.instances)
    rows = lines(replace(fleet, instances=shared))
    assert rows["instance", "a"].allocated_gpu_hours == pytest.approx(84)
    assert rows["node", "h"].allocated_gpu_hours == pytest.approx(168)


sizes = st.lists(
    st.tuples(st.sampled_from(["n1", "n2"]), st.integers(1, 3), st.integers(0, 168)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15, deadline=None)
@given(parts=sizes)
def test_parts_sum_to_the_whole(fleet_builder, parts):
    servings = [
        fleet_builder.Serving(f"i{n}", host, gpus=gpus, busy_hours=tuple(range(busy)))
        for n, (host, gpus, busy) in enumerate(parts)
    ]
    rows = lines(fleet_builder.build(servings))
    for name in (
        "cost_usd",
        "idle_cost_usd",
        "active_cost_usd",
        "energy_j",
        "gpu_hours",
        "output_tokens",
    ):
        whole = getattr(rows["fleet", "fleet"], name)
        for kind in ("node", "instance", "deployment"):
            parts_sum = sum(getattr(r, name) for (k, _), r in rows.items() if k == kind)
            assert parts_sum == pytest.approx(whole), (name, kind)


def test_teams_hold_their_deployments(story_fleet):
    rows = lines(story_fleet)
    product = rows["team", "product"].cost_usd
    assert product == pytest.approx(
        rows["deployment", "assist"].cost_usd + rows["deployment", "search"].cost_usd
    )
