"""From simulated pages through the real agent, wire and store to advice: right where it is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from advisor.assessment import Assessment
from advisor.receive.otlp import decode
from advisor.service import Advisor, assess_fleet
from advisor.settings import Assess, Data, Settings
from advisor.store.state import open_state
from advisor.store.windows_duckdb import DuckDbWindows
from agent.collector import Collector, EngineCollector, NvmlCollector
from agent.engines import find_engine
from agent.otlp import Resource, encode
from agent.window import WindowBuilder
from simulator import fleet
from simulator.gpu import SimulatedGpus
from simulator.host import Host
from simulator.node import described

HOUR_S = 3600.0
DAYS = 4
STORY = fleet.story()


def _payloads(node: fleet.Node, start_s: float) -> Iterator[bytes]:
    """Windows of one node, an hour each, as the agent ships them."""
    host = Host(node, "seed", start_s)
    collectors: list[Collector] = [NvmlCollector(SimulatedGpus(host.boards, start_s))]
    for instance in node.instances:
        table = find_engine(instance.curve.engine)
        assert table is not None
        page = lambda name=instance.id: host.page(name)  # noqa: E731 - one line says it
        collectors.append(EngineCollector(instance.id, table, page, described(instance, host)))
    builder = WindowBuilder(start_s, max_gap_s=2 * HOUR_S)
    resource = Resource(node.host_id, node.host_id, f"epoch-{node.host_id}", "test")
    for hour in range(1, 24 * DAYS + 1):
        for part in (0.5, 1.0):
            at_s = start_s + HOUR_S * (hour - 1 + part)
            host.advance(at_s)
            for collector in collectors:
                for observation in collector.collect(at_s):
                    builder.add(observation)
        yield encode(resource, hour, builder.close(start_s + HOUR_S * hour))


def _assessed(one: fleet.Fleet, folder: Path) -> Assessment:
    end_s = time.time() // HOUR_S * HOUR_S
    store = DuckDbWindows(folder / "telemetry.duckdb")
    for node in one.nodes:
        batches = [decode(body).fragments for body in _payloads(node, end_s - DAYS * 24 * HOUR_S)]
        store.append([fragment for batch in batches for fragment in batch])
    declared = folder / "deployments.toml"
    declared.write_text(fleet.deployments_toml(one), encoding="utf-8")
    settings = Settings(data=Data(directory=folder), assess=Assess(deployments_file=declared))
    engine = open_state("sqlite://")
    advisor = Advisor(settings, store, engine, assessing=assess_fleet)
    try:
        assessment = advisor.refresh(datetime.fromtimestamp(end_s, UTC))
    finally:
        advisor.close()
        engine.dispose()
        store.close()
    assert assessment is not None
    return assessment


def _levers(assessment: Assessment, node: fleet.Node) -> list[str]:
    """Levers of the node's advice, the first first."""
    return [one.lever for one in assessment.recommendations if node.host_id in one.node_ids]


@pytest.mark.slow
def test_each_node_of_the_story_gets_its_advice(tmp_path: Path) -> None:
    assessment = _assessed(STORY, tmp_path)
    first = [_levers(assessment, node)[:1] for node in STORY.nodes]
    assert first == [["batch"], ["precision"], ["parallelism"], ["consolidation"], []]
    assert "precision" in _levers(assessment, STORY.nodes[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_a_drawn_fleet_gets_right_advice_or_none(seed: str, tmp_path: Path) -> None:
    one = fleet.drawn(seed)
    assessment = _assessed(one, tmp_path)
    for node in one.nodes:
        right = [[], [node.expected]] if node.expected else [[]]
        assert _levers(assessment, node)[:1] in right, node.about
    assert assessment.recommendations
