"""Simulated pages read as the real ones do: by another parser, and by the agent."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.collector import DcgmCollector, EngineCollector, NvmlCollector
from agent.engines import find_engine
from agent.vocabulary import Histogram, Reading
from simulator import fleet
from simulator.gpu import SimulatedGpus
from simulator.host import Host
from simulator.instance import Instance
from simulator.node import described

START_S = 1_763_942_400.0
STORY = fleet.story()
NODES = {node.host_id: node for node in STORY.nodes}


def _host(node: fleet.Node) -> Host:
    host = Host(node, "seed", START_S)
    host.advance(START_S + 900.0)
    return host


def _readings(
    host: Host, instance: Instance
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    table = find_engine(instance.curve.engine)
    assert table is not None
    collector = EngineCollector(
        instance.id, table, lambda: host.page(instance.id), described(instance, host)
    )
    (observation,) = collector.collect(START_S + 900.0)
    return {
        (reading.signal, reading.attributes): reading.value
        for reading in observation.readings
        if not isinstance(reading.value, Histogram)
    }


def _total(readings: dict[tuple[str, tuple[tuple[str, str], ...]], float], signal: str) -> float:
    return sum(value for (name, _), value in readings.items() if name == signal)


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_every_page_parses_with_prometheus_client(node: fleet.Node) -> None:
    host = _host(node)
    pages = [host.page(instance.id) for instance in node.instances]
    for page in (*pages, host.dcgm_page()):
        families = list(text_string_to_metric_families(page.decode()))
        assert len(families) > 10


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_histograms_are_cumulative_and_end_in_their_count(node: fleet.Node) -> None:
    page = _host(node).page(node.instances[0].id).decode()
    for family in text_string_to_metric_families(page):
        if family.type != "histogram":
            continue
        buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
        (count,) = (s.value for s in family.samples if s.name.endswith("_count"))
        assert buckets == sorted(buckets)
        assert buckets[-1] == count


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_the_agent_reads_what_the_engine_counted(node: fleet.Node) -> None:
    host = _host(node)
    instance = node.instances[0]
    readings = _readings(host, instance)
    page = host.page(instance.id).decode()
    by_name = {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if "generation_tokens_total" in sample.name or "num_requests_running" in sample.name
    }
    tokens = ("joulewise.engine.tokens", (("joulewise.token.type", "output"),))
    read = {(signal, _token_type(pairs)): value for (signal, pairs), value in readings.items()}
    prefix = {"vllm": "vllm:", "trtllm": "trtllm_"}[instance.curve.engine]
    assert read[tokens[0], "output"] == by_name[f"{prefix}generation_tokens_total"]
    running = _total(readings, "joulewise.engine.requests.running")
    assert running == by_name[f"{prefix}num_requests_running"]


def _token_type(pairs: tuple[tuple[str, str], ...]) -> str:
    return dict(pairs).get("joulewise.token.type", "")


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_a_page_describes_the_configuration_it_is_of(node: fleet.Node) -> None:
    host = _host(node)
    instance = node.instances[0]
    ((_, said),) = (key for key in _readings(host, instance) if key[0] == "joulewise.instance.info")
    info = dict(said)
    assert info["joulewise.model"] == instance.curve.model
    assert info["joulewise.precision.weights"] == instance.curve.weights
    assert info["joulewise.max_sequences"] == str(instance.max_sequences)
    assert len(info["joulewise.gpu.ids"].split(",")) == instance.curve.n_gpus


def test_nvml_and_dcgm_show_the_same_gpus() -> None:
    host = _host(STORY.nodes[0])
    by_nvml = NvmlCollector(SimulatedGpus(host.boards, START_S)).collect(START_S + 900.0)
    by_dcgm = DcgmCollector(host.dcgm_page).collect(START_S + 900.0)
    for signal in ("hw.energy", "hw.power", "joulewise.gpu.dram.active", "hw.gpu.utilization"):
        ours = {o.subject.id: _value(o.readings, signal) for o in by_nvml}
        theirs = {o.subject.id: _value(o.readings, signal) for o in by_dcgm}
        assert ours == pytest.approx(theirs, rel=1e-5)


def _value(readings: Sequence[Reading], signal: str) -> float:
    (value,) = (reading.value for reading in readings if reading.signal == signal)
    assert not isinstance(value, Histogram)
    return value


def test_activity_stays_a_ratio() -> None:
    for node in STORY.nodes:
        for board in _host(node).boards():
            activity = (board.utilization, board.sm_active, board.tensor_active, board.dram_active)
            assert all(0.0 <= ratio <= 1.0 for ratio in activity)


def test_gpu_ids_are_the_same_in_every_run_and_no_two_alike() -> None:
    hosts = [Host(node, "seed", START_S) for node in STORY.nodes]
    again = [Host(node, "seed", START_S + 1) for node in STORY.nodes]
    ids = [uuid for host in hosts for uuid in host.uuids]
    assert ids == [uuid for host in again for uuid in host.uuids]
    assert len(set(ids)) == 8 * len(STORY.nodes)


def test_a_page_is_rendered_in_half_a_millisecond() -> None:
    node = STORY.nodes[4]
    host = _host(node)
    began = time.process_time()
    for _ in range(200):
        host.page(node.instances[0].id)
    assert (time.process_time() - began) / 200 < 0.0005


def test_a_live_host_counts_on_from_its_backfill() -> None:
    node = STORY.nodes[1]
    host = _host(node)
    before = _readings(host, node.instances[0])
    host.go_live()
    host.advance(START_S + 930.0)
    after = _readings(host, node.instances[0])
    signal = "joulewise.engine.tokens"
    rate = (_total(after, signal) - _total(before, signal)) / 30.0
    assert 0.5 < rate / (_total(before, signal) / 900.0) < 2.0
