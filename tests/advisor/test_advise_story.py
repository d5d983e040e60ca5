"""Advice on the five nodes of the story, and on fleets that need none."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from advisor.advise.recommendation import Recommendation
from advisor.assess import AssessSettings, assess
from advisor.performance.effect import QUANTITIES, Evidence


def advice(found, node: str) -> list[Recommendation]:
    return [one for one in found.recommendations if one.node_ids == (node,)]


def only(found, rule: str) -> Recommendation:
    (one,) = [r for r in found.recommendations if r.rule_id == rule]
    return one


def rows(one: Recommendation):
    return {row.quantity: row for row in one.effects}


def told(fleet, **settings):
    return assess(fleet, AssessSettings(**settings), now=fleet.end)


def test_a_small_batch_limit_with_a_queue_is_raised_and_fp8_follows(story_assessment):
    first, second = advice(story_assessment, "node-1")
    assert (first.rule_id, second.rule_id) == ("batch.raise_limit", "precision.fp8_weights")
    assert first.rank < second.rank
    (line,) = first.change
    assert (line.key, line.current, line.sets) == ("--max-num-seqs", "32", "flag")
    assert int(line.proposed) in (64, 128, 256)
    assert first.instance_ids == ("node-1:8000", "node-1:8001")
    assert first.exclusive_group == second.exclusive_group
    assert second.change[0].key == "--quantization"
    assert second.quality_gate


def test_deepseek_in_fp8_on_blackwell_is_served_in_nvfp4(story_assessment):
    (one,) = advice(story_assessment, "node-2")
    assert one.rule_id == "precision.nvfp4_weights"
    assert "NVFP4" in one.change[0].proposed
    assert one.change[0].current == "deepseek-ai/DeepSeek-R1"
    assert one.quality_gate
    assert not one.cash
    power = rows(one)["power_w"].predicted
    assert power.evidence in (Evidence.EXTRAPOLATED, Evidence.ASSUMED)


def test_replicas_of_two_gpus_at_low_load_are_run_on_one(story_assessment):
    (one,) = advice(story_assessment, "node-3")
    assert one.rule_id == "parallelism.fewer_gpus"
    assert (one.change[0].key, one.change[0].current, one.change[0].proposed) == (
        "--tensor-parallel-size",
        "2",
        "1",
    )
    assert one.cash
    assert len(one.instance_ids) == 4
    table = rows(one)
    assert table["output_tokens_per_s"].predicted.expected == pytest.approx(4 * 1701.2)
    assert table["tpot_s"].predicted.expected > table["tpot_s"].now
    assert table["usd_per_million_output_tokens"].predicted.expected == pytest.approx(
        table["usd_per_million_output_tokens"].now / 2
    )


def test_an_idle_node_is_consolidated_with_watts_and_dollars_and_no_claim_of_tokens(
    story_assessment,
):
    (one,) = advice(story_assessment, "node-4")
    assert one.lever == "consolidation"
    assert set(rows(one)) == {"power_w"}
    assert rows(one)["power_w"].now == pytest.approx(113.6)
    assert one.cost_usd_per_month.expected < 0
    assert one.energy_kwh_per_month.expected < 0


def test_a_node_that_is_well_batched_gets_no_advice(story_assessment):
    assert not advice(story_assessment, "node-5")


def test_every_effect_is_an_interval_with_its_evidence(story_assessment):
    for one in story_assessment.recommendations:
        if one.lever == "consolidation":
            continue
        assert {row.quantity for row in one.effects} == set(QUANTITIES)
        for row in one.effects:
            assert row.now is not None
            assert row.predicted.low <= row.predicted.expected <= row.predicted.high


def test_advice_is_ranked_by_dollars_a_month(story_assessment):
    found = story_assessment.recommendations
    assert [one.rank for one in found] == list(range(1, len(found) + 1))
    dollars = [one.cost_usd_per_month.expected for one in found]
    assert dollars == sorted(dollars)


def test_a_second_assessment_gives_the_same_ids(story_fleet, story_assessment):
    again = told(story_fleet)
    assert [r.id for r in again.recommendations] == [r.id for r in story_assessment.recommendations]
    assert len({r.id for r in again.recommendations}) == len(again.recommendations)


def test_an_assessment_passes_between_processes(story_assessment):
    again = pickle.loads(pickle.dumps(story_assessment))
    assert again.recommendations == story_assessment.recommendations


def test_every_rule_says_of_every_instance_why_it_is_silent(story_assessment):
    rules = {n.rule_id for n in story_assessment.not_fired}
    silent = {(n.rule_id, n.target_id) for n in story_assessment.not_fired}
    spoken = {(r.rule_id, i) for r in story_assessment.recommendations for i in r.instance_ids}
    every = {(rule, i.id) for rule in rules for i in story_assessment.fleet.instances}
    assert silent | spoken >= every
    assert not silent & spoken
    assert all(n.reason for n in story_assessment.not_fired)


def healthy(builder, **changes):
    base = {"tokens_per_s": 11888.6, "running": 250.0, "tpot_s": 0.0207, "max_sequences": 512}
    return builder.build([builder.Serving("a", "h", **base | changes)])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"engine": "sglang", "engine_version": "0.5.23"},
        {"product": "h100", "tokens_per_s": 2571.9, "running": 64.0, "tpot_s": 0.0241},
        {"waiting": 2.0, "saturated": 0.05},
        {"busy_hours": tuple(h for h in range(168) if 6 <= h % 24 < 22)},
    ],
)
def test_a_healthy_fleet_gets_no_advice(fleet_builder, changes):
    assert not told(healthy(fleet_builder, **changes)).recommendations


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"model": "acme/unheard-of-7b"}, "not_enough_data"),
        ({"weights": None}, "not_enough_data"),
        ({"max_sequences": None}, "not_enough_data"),
    ],
)
def test_what_is_unknown_blocks_advice_and_says_so(story_fleet, change, outcome):
    instances = tuple(replace(i, **change) for i in story_fleet.instances)
    found = told(replace(story_fleet, instances=instances))
    assert not [r for r in found.recommendations if r.rule_id == "batch.raise_limit"]
    why = [n for n in found.not_fired if n.target_id == "node-1:8000"]
    assert any(n.outcome == outcome for n in why if n.rule_id == "batch.raise_limit")


def test_a_day_is_too_little_for_fewer_gpus(fleet_builder, story_fleet):
    light = fleet_builder.Serving(
        "a", "h", gpus=2, tensor=2, tokens_per_s=1701.2, running=8.0, tpot_s=0.0047
    )
    assert told(fleet_builder.build([light])).recommendations
    found = told(fleet_builder.build([light], hours=24))
    assert not found.recommendations
    assert any("72 are needed" in n.reason for n in found.not_fired)


def test_counters_that_cannot_be_right_block_all_advice(fleet_builder):
    queue = fleet_builder.Serving(
        "a",
        "h",
        gpus=4,
        tensor=4,
        product="h100",
        model="meta-llama/Llama-3.3-70B-Instruct",
        weights="bf16",
        max_sequences=32,
        tokens_per_s=1517.65,
        running=31.5,
        waiting=60.0,
        saturated=0.95,
        tpot_s=0.0199,
    )
    assert told(fleet_builder.build([queue])).recommendations
    fault = replace(queue, gpu_columns={"engine_active_s": 0.0})
    found = told(fleet_builder.build([fault]))
    assert not found.recommendations
    assert {d.word for d in found.diagnoses} == {"telemetry_fault"}


def test_a_latency_limit_that_would_break_drops_the_advice_with_its_reason(story_fleet):
    strict = tuple(
        replace(d, tpot_p95_s=0.006) if d.name == "assist" else d for d in story_fleet.deployments
    )
    found = told(replace(story_fleet, deployments=strict))
    assert not [r for r in found.recommendations if r.node_ids == ("node-3",)]
    dropped = [n for n in found.not_fired if n.outcome == "dropped" and "TPOT" in n.reason]
    assert {n.rule_id for n in dropped} == {"parallelism.fewer_gpus"}


def test_a_gain_below_the_least_is_dropped_with_its_reason(story_fleet):
    found = told(story_fleet, minimum_gain=0.95)
    assert {r.lever for r in found.recommendations} == {"consolidation"}
    assert any("95% is needed" in n.reason for n in found.not_fired)


def test_the_same_change_of_one_deployment_on_two_nodes_is_one_recommendation(fleet_builder):
    light = {"gpus": 2, "tensor": 2, "tokens_per_s": 1701.2, "running": 8.0, "tpot_s": 0.0047}
    servings = [fleet_builder.Serving(f"{host}:1", host, **light) for host in ("h1", "h2")]
    (one,) = told(fleet_builder.build(servings)).recommendations
    assert one.target_kind == "deployment"
    assert one.node_ids == ("h1", "h2")


def test_without_a_price_dollars_are_absent_and_advice_stays(story_fleet):
    found = told(story_fleet, prices=())
    one = only(found, "batch.raise_limit")
    assert one.cost_usd_per_month is None
    assert "usd_per_million_output_tokens" not in rows(one)
    assert any("no price is known" in note for note in found.notes)


def test_an_empty_fleet_is_assessed(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h")])
    bare = replace(fleet, nodes=(), gpus=(), instances=(), deployments=())
    found = told(bare)
    assert not found.recommendations
    assert found.coverage == 0.0
