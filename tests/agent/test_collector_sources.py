"""Collectors: pages and GPUs as observations, and one source's failure kept from the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from agent.collector import (
    DcgmCollector,
    EngineCollector,
    NoData,
    NvmlCollector,
    collect_all,
    process_start_s,
)
from agent.engines import ENGINES
from agent.identity import parse_tiers
from agent.nvml import GpuReading
from agent.vocabulary import Reading
from agent.window import INFO, Observation, Subject

PAGE = b"""
vllm:num_requests_running{engine="0",model_name="m-FP8"} 3
vllm:num_requests_running{engine="1",model_name="m-FP8"} 4
vllm:generation_tokens_total{engine="0",model_name="m-FP8"} 100
vllm:cache_config_info{cache_dtype="fp8",block_size="16",engine="0"} 1
process_start_time_seconds 1.5e9
"""

DCGM_PAGE = b"""
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a",modelName="NVIDIA H100"} 300
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-b",modelName="NVIDIA H100"} 310
DCGM_FI_PROF_SM_ACTIVE{gpu="1",UUID="GPU-b",GPU_I_ID="1",GPU_I_PROFILE="1g.10gb"} 0.5
"""


class Fixed:
    def __init__(self, name: str, answer: Sequence[Observation] | Exception) -> None:
        self.name = name
        self._answer = answer

    def collect(self, at_s: float) -> Sequence[Observation]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class TwoGpus:
    def read(self) -> Sequence[GpuReading]:
        reading = Reading("hw.power", (), 300.0)
        return [GpuReading("GPU-a", (reading,), 5.0), GpuReading("GPU-b", (reading,))]


def outcome(observations: Sequence[Observation]) -> dict[tuple[str, str], float | object]:
    last = observations[-1]
    assert (last.subject.kind, last.source) == ("agent", "agent")
    return {
        (r.signal.rpartition(".")[2], dict(r.attributes)["joulewise.source"]): r.value
        for r in last.readings
    }


def info(observation: Observation) -> dict[str, str]:
    (found,) = [dict(r.attributes) for r in observation.readings if r.signal == INFO]
    return found


@pytest.mark.parametrize("failure", [NoData("nobody answers"), ZeroDivisionError()])
def test_one_sources_failure_never_stops_another(failure: Exception) -> None:
    one = Observation(Subject("gpu", "GPU-a"), "nvml", 1.0, ())
    found = collect_all([Fixed("engine", failure), Fixed("nvml", [one])], 1.0)
    assert found[0] == one
    assert outcome(found)["success", "engine"] == 0.0
    assert outcome(found)["success", "nvml"] == 1.0


def test_every_source_reports_how_long_it_took() -> None:
    times = iter([0.0, 0.25, 1.0, 4.0])
    found = collect_all([Fixed("a", []), Fixed("b", NoData("no"))], 1.0, clock=lambda: next(times))
    assert outcome(found)["duration", "a"] == 0.25
    assert outcome(found)["duration", "b"] == 3.0


def test_who_asks_hears_why_a_source_gave_nothing() -> None:
    heard: dict[str, str | None] = {}

    def on_result(name: str, raised: Exception | None) -> None:
        heard[name] = None if raised is None else str(raised)

    collect_all([Fixed("a", []), Fixed("b", NoData("why"))], 1.0, on_result=on_result)
    assert heard == {"a": None, "b": "why"}


def test_gpus_are_subjects_by_their_uuid() -> None:
    found = NvmlCollector(TwoGpus()).collect(7.0)
    assert [(o.subject, o.source, o.at_s, o.origin_s) for o in found] == [
        (Subject("gpu", "GPU-a"), "nvml", 7.0, 5.0),
        (Subject("gpu", "GPU-b"), "nvml", 7.0, None),
    ]


def test_a_dcgm_page_is_one_observation_a_gpu_without_slices() -> None:
    found = DcgmCollector(lambda: DCGM_PAGE).collect(7.0)
    powers = {o.subject.id: [r.value for r in o.readings if r.signal == "hw.power"] for o in found}
    assert powers == {"GPU-a": [300.0], "GPU-b": [310.0]}
    assert not [r for o in found for r in o.readings if r.signal == "joulewise.gpu.sm.active"]


def test_links_are_added_to_their_gpu() -> None:
    page = b"".join(
        b'DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES{nvlink="%d",gpu="0",gpu_uuid="GPU-a"} 100\n' % link
        for link in range(3)
    )
    (found,) = DcgmCollector(lambda: page).collect(7.0)
    values = [r.value for r in found.readings if r.signal == "joulewise.gpu.nvlink.io"]
    assert values == [300.0]


def test_an_empty_dcgm_page_is_no_data() -> None:
    with pytest.raises(NoData, match="reloading"):
        DcgmCollector(lambda: b"").collect(7.0)


def test_an_engine_page_is_an_observation_of_its_instance() -> None:
    (found,) = EngineCollector("i", ENGINES["vllm"], lambda: PAGE).collect(7.0)
    assert (found.subject, found.source, found.origin_s) == (
        Subject("instance", "i"),
        "vllm",
        1.5e9,
    )
    running = [r.value for r in found.readings if r.signal == "joulewise.engine.requests.running"]
    assert running == [3.0, 4.0]


def test_what_is_known_beforehand_goes_before_the_page_and_the_page_before_guesses() -> None:
    collector = EngineCollector(
        "i",
        ENGINES["vllm"],
        lambda: PAGE,
        {"joulewise.model": "meta/M"},
        [("default", {"joulewise.precision.kv": "bf16", "joulewise.parallel.tensor": "1"})],
    )
    said = info(collector.collect(7.0)[0])
    assert said["joulewise.model"] == "meta/M"
    assert said["joulewise.precision.kv"] == "fp8"
    tiers = parse_tiers(said["joulewise.tiers"])
    assert tiers["model"] == "configured"
    assert tiers["precision.kv"] == "engine"
    assert tiers["parallel.tensor"] == "default"


def test_the_digest_stays_while_the_page_says_less() -> None:
    pages = [PAGE, b'vllm:num_requests_running{engine="0",model_name="m-FP8"} 3\n']
    collector = EngineCollector("i", ENGINES["vllm"], lambda: pages.pop(0))
    first, second = (info(collector.collect(at_s)[0]) for at_s in (1.0, 2.0))
    assert first == second
    assert first["joulewise.precision.weights"] == "fp8"


def test_another_configuration_has_another_digest() -> None:
    digests = {
        info(EngineCollector("i", ENGINES["vllm"], lambda: PAGE, known).collect(1.0)[0])[
            "joulewise.config.digest"
        ]
        for known in ({}, {"joulewise.max_sequences": "64"}, {"joulewise.max_sequences": "128"})
    }
    assert len(digests) == 3


def test_the_digest_knows_nothing_of_gpus() -> None:
    digests = {
        info(
            EngineCollector("i", ENGINES["vllm"], lambda: PAGE, {"joulewise.gpu.ids": ids}).collect(
                1.0
            )[0]
        )["joulewise.config.digest"]
        for ids in ("GPU-a", "GPU-b")
    }
    assert len(digests) == 1


def test_a_page_of_another_program_is_no_data() -> None:
    with pytest.raises(NoData, match="nothing of it on the page"):
        EngineCollector("i", ENGINES["sglang"], lambda: PAGE).collect(1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a 1\nprocess_start_time_seconds 1.7e9\n", 1.7e9),
        (b'process_start_time_seconds{pod="x"} 12.5\n', 12.5),
        (b"process_start_time_seconds NaN\n", None),
        (b"process_start_time_seconds 1e\n", None),
        (b"process_start_time_seconds 0\n", None),
        (b"other_process_start_time_seconds 5\n", None),
        (b"", None),
    ],
)
def test_the_start_of_the_process_is_read_where_it_is_said(
    text: bytes, expected: float | None
) -> None:
    found = process_start_s(text)
    assert found == expected
    assert found is None or math.isfinite(found)
