"""A node agent told the time: windows become batches, and nothing counted is lost on the way."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

from agent.collector import NoData
from agent.daemon import NodeAgent
from agent.errors import SpoolFullError
from agent.otlp import Resource
from agent.process import ProcessCollector
from agent.spool import Batch, Spool
from agent.vocabulary import Reading
from agent.window import Observation, Subject

START_S = 1_763_900_040.0
GPU = Subject("gpu", "GPU-aa")


@dataclass
class Meter:
    """A GPU of constant power, with a counter of its energy."""

    name: str = "meter"
    watts: float = 500.0
    silent: bool = False
    times: list[float] = field(default_factory=list)

    def collect(self, at_s: float) -> Sequence[Observation]:
        self.times.append(at_s)
        if self.silent:
            raise NoData("reading the meter: it is unplugged; plug it in")
        energy_j = self.watts * (at_s - START_S)
        readings = (
            Reading("hw.energy", (), energy_j),
            Reading("joulewise.gpu.tensor.active", (), 0.5),
        )
        return [Observation(GPU, self.name, at_s, readings, START_S)]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db")
    yield opened
    opened.close()


def _agent(spool: Spool, *collectors: Meter | ProcessCollector, kernel: str = "6.1") -> NodeAgent:
    resource = Resource("host-1", "gpu-node-1", spool.epoch, "0.1.0")
    info = {"joulewise.node.kernel": kernel}
    return NodeAgent(resource, collectors, spool, max_gap_s=5.0, node_info=info)


def _minute(agent: NodeAgent, minute: int) -> int:
    for second in range(60):
        agent.sample(START_S + 60.0 * minute + second)
    return agent.close(START_S + 60.0 * (minute + 1))


def _metrics(batch: Batch) -> dict[str, Metric]:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(gzip.decompress(batch.body))
    (resource,) = request.resource_metrics
    return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def _sum(batch: Batch, name: str) -> NumberDataPoint:
    (point,) = _metrics(batch)[name].sum.data_points
    assert isinstance(point, NumberDataPoint)
    return point


def _account(batch: Batch) -> dict[str, float]:
    points = _metrics(batch)["joulewise.agent.batches"].sum.data_points
    return {
        "/".join(pair.value.string_value for pair in point.attributes): point.as_double
        for point in points
    }


def test_a_window_carries_what_its_sources_said(spool: Spool) -> None:
    assert _minute(_agent(spool, Meter()), 0) == 1
    (batch,) = spool.pending(10)
    assert batch.end_s == START_S + 60.0
    assert _sum(batch, "hw.energy").as_double == 500.0 * 59
    assert _sum(batch, "joulewise.gpu.tensor.active_time").as_double == pytest.approx(30.0)


def test_a_window_names_its_node(spool: Spool) -> None:
    agent = _agent(spool)
    agent.sample(START_S)
    agent.close(START_S + 60.0)
    info = _metrics(spool.pending(1)[0])["joulewise.node.info"].gauge.data_points[0]
    assert {pair.key: pair.value.string_value for pair in info.attributes} == {
        "host.id": "host-1",
        "host.name": "gpu-node-1",
        "joulewise.node.kernel": "6.1",
    }


def test_the_account_ships_what_became_of_earlier_batches(spool: Spool) -> None:
    agent = _agent(spool)
    for minute in range(3):
        _minute(agent, minute)
    spool.acknowledge(1)
    spool.drop(2, "rejected")
    _minute(agent, 3)
    last = spool.pending(1, newest_first=True)[0]
    assert _account(last) == {"produced": 3.0, "acknowledged": 1.0, "rejected/dropped": 1.0}
    metrics = _metrics(last)
    assert metrics["joulewise.agent.spool.age"].gauge.data_points[0].as_double == 60.0
    assert metrics["joulewise.agent.spool.size"].gauge.data_points[0].as_double > 0


def test_integrals_run_on_across_a_restart(tmp_path: Path) -> None:
    for minute in range(2):
        spool = Spool(tmp_path / "spool.db")
        _minute(_agent(spool, Meter()), minute)
        batches = spool.pending(10)
        spool.close()
    integrals = [_sum(batch, "joulewise.gpu.tensor.active_time") for batch in batches]
    assert [point.as_double for point in integrals] == pytest.approx([30.0, 60.0])
    assert len({point.start_time_unix_nano for point in integrals}) == 1


def test_a_window_that_could_not_be_stored_costs_no_joule(spool: Spool) -> None:
    agent = _agent(spool, Meter(), kernel=os.urandom(20_000).hex())  # larger than a free page
    pages = spool._database.execute("pragma page_count").fetchone()[0]
    spool._database.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(SpoolFullError, match="the disk is full"):
        _minute(agent, 0)
    spool._database.execute("pragma max_page_count = 1000000")
    assert _minute(agent, 1) == 2
    (batch,) = spool.pending(10)
    assert _sum(batch, "joulewise.gpu.tensor.active_time").as_double == pytest.approx(60.0)
    assert _sum(batch, "hw.energy").as_double == 500.0 * 119
    assert spool.counts().dropped == {"disk_full": 1}


def test_only_the_sources_asked_for_are_read(spool: Spool) -> None:
    fast, slow = Meter("fast"), Meter("slow")
    agent = _agent(spool, fast, slow)
    agent.sample(START_S, (fast,))
    agent.sample(START_S + 1.0)
    assert (fast.times, slow.times) == ([START_S, START_S + 1.0], [START_S + 1.0])


def test_an_answer_after_its_window_was_closed_belongs_to_the_next(spool: Spool) -> None:
    meter = Meter()
    agent = _agent(spool, meter)
    _minute(agent, 0)
    agent.sample(START_S + 59.9, (meter,))
    agent.close(START_S + 120.0)
    assert "hw.energy" in _metrics(spool.pending(1, newest_first=True)[0])


def test_after_the_clock_was_set_the_window_begins_at_the_new_time(spool: Spool) -> None:
    agent = _agent(spool, Meter())
    _minute(agent, 0)
    agent.begin(START_S + 7_230.0)
    agent.sample(START_S + 7_231.0)
    agent.close(START_S + 7_260.0)
    request = ExportMetricsServiceRequest()
    request.ParseFromString(gzip.decompress(spool.pending(1, newest_first=True)[0].body))
    named = {p.key: p.value for p in request.resource_metrics[0].resource.attributes}
    assert named["joulewise.window.duration"].double_value == 30.0


def test_a_silent_source_is_said_once_and_so_is_its_return(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    meter = Meter(silent=True)
    agent = _agent(spool, meter)
    for second in range(3):
        agent.sample(START_S + second)
    meter.silent = False
    agent.sample(START_S + 3)
    agent.sample(START_S + 4)
    assert [record.getMessage() for record in caplog.records] == [
        'source gives nothing source=meter cause="reading the meter: it is unplugged; plug it in"',
        "source is back source=meter",
    ]


def test_a_source_without_success_is_shipped_as_such(spool: Spool) -> None:
    agent = _agent(spool, Meter(silent=True))
    _minute(agent, 0)
    success = _metrics(spool.pending(1)[0])["joulewise.agent.source.success"]
    assert success.gauge.data_points[0].as_double == 0.0


def test_a_state_of_another_version_starts_anew(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    spool.append(
        lambda _: b"", end_s=START_S, state={"origin_s": START_S, "builder": {"version": -1}}
    )
    agent = _agent(spool, Meter())
    assert _minute(agent, 0) == 2
    assert "state of another version" in caplog.text


def test_the_agent_measures_itself(spool: Spool) -> None:
    agent = _agent(spool, ProcessCollector(spool.epoch))
    _minute(agent, 0)
    metrics = _metrics(spool.pending(1)[0])
    cpu = metrics["process.cpu.time"].sum.data_points[0]
    assert 0.0 < cpu.as_double < 36_000.0
    assert 10e6 < metrics["process.memory.usage"].gauge.data_points[0].as_double < 10e9
