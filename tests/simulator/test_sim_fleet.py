"""Fleets are what they say they are, and the right advice is a measured fact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from advisor.deployments import read_deployments
from simulator import curves, fleet
from simulator.queueing import Stationary, solve

START_S = 1_763_942_400.0  # a Monday, 00:00 UTC
HOURS = [START_S + 3600.0 * hour for hour in range(0, 168, 3)]
STORY = fleet.story()
DRAWN = [fleet.drawn(seed) for seed in ("a", "b", "c", "d", "e", "f", "g", "h")]
NODES = [node for one in (STORY, *DRAWN) for node in one.nodes]
CURVES = curves.load()


def _states(node: fleet.Node) -> list[Stationary]:
    instance = node.instances[0]
    return [solve(instance, instance.demand.at(at_s)) for at_s in HOURS]


def _peak(node: fleet.Node) -> float:
    return max(state.tokens_per_s for state in _states(node))


def _of(lever: str | None) -> list[object]:
    nodes = [node for node in NODES if node.expected == lever]
    return [pytest.param(node, id=node.host_id) for node in nodes]


def test_the_story_is_told_in_order() -> None:
    told = [(node.gpu, len(node.instances), node.expected) for node in STORY.nodes]
    assert told == [
        ("H100", 2, "batch"),
        ("B200", 1, "precision"),
        ("B200", 4, "parallelism"),
        ("H100", 2, "consolidation"),
        ("B200", 8, None),
    ]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.host_id)
def test_every_gpu_of_a_node_has_one_instance(node: fleet.Node) -> None:
    used = [index for instance in node.instances for index in instance.gpu_indices]
    assert sorted(used) == list(range(fleet.GPUS_A_NODE))


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.host_id)
def test_a_load_stays_where_it_was_measured(node: fleet.Node) -> None:
    instance = node.instances[0]
    busiest = max(state.running_mean for state in _states(node))
    assert busiest <= instance.curve.largest_batch


@pytest.mark.parametrize("node", _of("batch"))
def test_a_larger_batch_is_measured_to_bring_more_where_it_is_advised(node: fleet.Node) -> None:
    instance = node.instances[0]
    working = [s for s, at_s in zip(_states(node), HOURS, strict=True) if at_s < START_S + 86_400]
    assert all(state.waiting_mean > 1 for state in working)
    doubled = instance.curve.throughput(np.array([2.0 * instance.max_sequences]))[0]
    assert doubled > 1.3 * instance.tokens_per_s[instance.batch_limit]


@pytest.mark.parametrize("node", _of("precision"))
def test_the_lower_precision_is_measured_to_be_faster_where_it_is_advised(node: fleet.Node) -> None:
    instance = node.instances[0]
    lower = CURVES["b200x8-deepseek-r1-nvfp4-trtllm"]
    for state in _states(node):
        running = np.array([state.running_mean])
        assert lower.throughput(running)[0] > 1.05 * instance.curve.throughput(running)[0]


@pytest.mark.parametrize("node", _of("parallelism"))
def test_one_gpu_is_measured_to_carry_the_load_where_it_is_advised(node: fleet.Node) -> None:
    instance = node.instances[0]
    single = CURVES[instance.curve.id.replace("x2-", "x1-")]
    carried = np.flatnonzero(single.tokens_per_s > _peak(node))
    assert len(carried)
    batch = single.batch[carried[0] : carried[0] + 1]
    assert single.token_time_s(batch)[0] < node.purpose.tpot_p95_s
    both_w = 2 * instance.curve.power(np.array([state_mean(node)]))[0]
    assert single.power(batch)[0] < both_w


def state_mean(node: fleet.Node) -> float:
    return float(np.mean([state.running_mean for state in _states(node)]))


@pytest.mark.parametrize("node", _of("consolidation"))
def test_an_idle_node_is_asked_for_a_small_part_of_the_week(node: fleet.Node) -> None:
    instance = node.instances[0]
    hours = [START_S + 3600.0 * hour for hour in range(168)]
    busy = [at_s for at_s in hours if instance.demand.at(at_s).rate_per_s > 0]
    assert len(busy) == 5


@pytest.mark.parametrize("node", _of(None))
def test_a_healthy_node_keeps_its_promise_and_has_no_queue(node: fleet.Node) -> None:
    instance = node.instances[0]
    for state in _states(node):
        running = round(state.running_mean)
        assert state.waiting_mean < 0.01
        assert instance.token_time_s[running] < 0.7 * node.purpose.tpot_p95_s
        assert running > 64


def test_the_same_seed_draws_the_same_fleet() -> None:
    assert fleet.drawn("a") == fleet.drawn("a")
    assert fleet.drawn("a").nodes != fleet.drawn("b").nodes


def test_a_drawn_fleet_has_one_node_that_needs_nothing() -> None:
    for one in DRAWN:
        assert [node.expected for node in one.nodes].count(None) == 1


def test_the_advisor_reads_the_deployments_of_every_host(tmp_path: Path) -> None:
    path = tmp_path / "deployments.toml"
    path.write_text(fleet.deployments_toml(STORY), encoding="utf-8")
    declared = read_deployments(path)
    assert [one.selector.host for one in declared] == [node.host_id for node in STORY.nodes]
    assert [one.tpot_p95_s for one in declared] == [n.purpose.tpot_p95_s for n in STORY.nodes]


def test_an_unknown_fleet_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no fleet is called 'stroy'; there are story, drawn"):
        fleet.build("stroy", "seed")
