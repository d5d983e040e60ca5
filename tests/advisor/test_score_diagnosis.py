"""What bounds an instance or a node, in the words of the glossary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.assess import AssessSettings, assess
from advisor.score.result import DIAGNOSES


def word(builder, **changes) -> str:
    fleet = builder.build([builder.Serving("a", "h", **changes)], hours=48)
    found = assess(fleet, AssessSettings(), now=fleet.end)
    assert {d.word for d in found.diagnoses} <= set(DIAGNOSES)
    return next(d.word for d in found.diagnoses if d.kind == "instance")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "memory_bandwidth"),
        ({"gpu_columns": {"tensor_active_s": 3000.0}}, "compute"),
        ({"saturated": 0.5, "waiting": 9.0}, "queue"),
        ({"columns": {"saturated_kv_cache_s": 1800.0}}, "kv_capacity"),
        ({"columns": {"saturated_unknown_s": 1800.0}}, "queue"),
        ({"busy_hours": (9,)}, "idle"),
        ({"gpu_columns": {"throttle_thermal_s": 900.0}}, "throttled"),
        ({"gpu_columns": {"engine_active_s": 0.0}}, "telemetry_fault"),
        ({"gpu_columns": {"dram_active_s": float("nan")}}, "memory_bandwidth"),
    ],
)
def test_the_word_for_what_bounds_an_instance(fleet_builder, changes, expected):
    assert word(fleet_builder, **changes) == expected


def test_gpus_that_work_without_an_engine_are_an_unknown_workload(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h")], hours=48)
    found = assess(replace(fleet, instances=(), deployments=()), AssessSettings(), now=fleet.end)
    (said,) = found.diagnoses
    assert (said.kind, said.word) == ("node", "unknown_workload")


def test_gpus_without_an_engine_that_rest_are_idle(fleet_builder):
    fleet = fleet_builder.build([fleet_builder.Serving("a", "h", busy_hours=())], hours=48)
    found = assess(replace(fleet, instances=(), deployments=()), AssessSettings(), now=fleet.end)
    assert found.diagnoses[0].word == "idle"
    assert found.scorecards[0].dimensions["roi"].low == 0.0


def test_a_node_takes_the_word_of_most_of_its_gpus(story_assessment):
    words = {d.id: d.word for d in story_assessment.diagnoses if d.kind == "node"}
    assert words["node-1"] == "queue"
    assert words["node-4"] == "idle"
