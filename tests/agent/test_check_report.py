"""The check: what a node has, what is missing and what to do, with and without GPUs and engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from agent.check import DCGM_LINES, ENGINE_WANTED, GPU_WANTED, Probe, Report, check
from agent.dcgm import NAMES
from agent.errors import NoData
from agent.integrals import INTEGRALS
from agent.nvml import GpuReading, NvmlGpus
from agent.nvml_errors import NvmlError
from agent.processes import Processes
from agent.settings import Dcgm, Engine, Gpu, Settings
from agent.vocabulary import SIGNALS, Reading, attributes

VLLM = (
    b'vllm:num_requests_running{model_name="m",engine="0"} 7\n'
    b'vllm:generation_tokens_total{model_name="m",engine="0"} 100\n'
)
DCGM = b'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a",modelName="NVIDIA L4"} 30\n'


class NoGpus(NvmlGpus):
    def read(self) -> Sequence[GpuReading]:
        raise NvmlError("opening NVML: no driver; install it")


class OneGpu(NvmlGpus):
    def read(self) -> Sequence[GpuReading]:
        info = {"hw.id": "GPU-a", "hw.model": "NVIDIA H100", "hw.driver_version": "580"}
        readings = (
            Reading("hw.power", (), 412.3),
            Reading("joulewise.gpu.info", attributes(info), 1.0),
        )
        return [GpuReading("GPU-a", readings)]

    def missing(self) -> Mapping[str, Mapping[str, str]]:
        return {"GPU-a": {"hw.energy": "Not Supported", "activity": "Hopper and later have it"}}


def report(
    settings: Settings, pages: Mapping[str, bytes] | None = None, gpus: NvmlGpus | None = None
) -> Report:
    def get(url: str) -> bytes:
        if pages is None or url not in pages:
            raise NoData(f"reading {url}: nobody answers")
        return pages[url]

    nowhere = Processes(Processes()._proc / "none")
    return check(settings, Probe(gpus or NoGpus(), get, nowhere, pause=lambda _: None))


def test_a_bare_node_is_told_what_to_do_for_each_part() -> None:
    text = str(report(Settings()))
    assert "opening NVML: no driver; install it" in text
    assert "add [[engine]] with its url" in text
    assert "NVML needs none" in text


def test_a_gpu_is_shown_with_its_power_now_and_why_the_rest_is_missing() -> None:
    text = str(report(Settings(), gpus=OneGpu()))
    assert "+ GPU-a: NVIDIA H100, driver 580" in text
    assert "hw.power 412.3 W" in text
    assert "does not read hw.energy\n      Not Supported" in text
    assert "does not read joulewise.gpu.tensor.active\n      Hopper and later have it" in text


def test_nvml_that_is_switched_off_is_said() -> None:
    assert "gpu.nvml = true" in str(report(Settings(gpu=Gpu(nvml=False)), gpus=OneGpu()))


def test_a_dcgm_exporter_is_told_which_lines_its_csv_lacks() -> None:
    url = "http://127.0.0.1:9400/metrics"
    text = str(report(Settings(dcgm=Dcgm(url=url)), {url: DCGM}))
    assert f"+ 1 GPU at {url}" in text
    assert "add to its counters CSV: DCGM_FI_PROF_SM_ACTIVE, gauge" in text


def test_a_dcgm_exporter_at_its_usual_address_is_found() -> None:
    url = "http://127.0.0.1:9400/metrics"
    assert f'set dcgm.url = "{url}"' in str(report(Settings(), {url: DCGM}))


def test_an_engine_at_its_usual_address_is_found() -> None:
    text = str(report(Settings(), {"http://127.0.0.1:8000/metrics": VLLM}))
    assert '[[engine]] url = "http://127.0.0.1:8000"' in text


def test_an_engine_is_shown_with_the_tier_of_each_field_and_its_levels_now() -> None:
    engine = Engine(url="http://127.0.0.1:8000", name="chat", command="vllm serve org/M-FP8 -tp 2")
    text = str(report(Settings(engine=(engine,)), {"http://127.0.0.1:8000/metrics": VLLM}))
    assert "+ chat: vLLM at http://127.0.0.1:8000/metrics" in text
    assert "+ parallel.tensor = 2 (argv)" in text
    assert "+ precision.weights = fp8 (model name)" in text
    assert "joulewise.engine.requests.running 7 {request}" in text
    assert "- its GPUs are not known" in text
    assert "does not read gen_ai.server.time_to_first_token" in text


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("sglang", "--enable-metrics"),
        ("trtllm", "return_perf_metrics: true and enable_iter_perf_stats: true"),
        ("auto", "--enable-metrics"),
    ],
)
def test_an_engine_that_gives_nothing_is_told_how_to_switch_metrics_on(kind: str, how: str) -> None:
    text = str(report(Settings(engine=(Engine(url="http://127.0.0.1:1", kind=kind),))))
    assert "nobody answers" in text
    assert how in text


def test_what_is_wanted_is_in_the_vocabulary() -> None:
    assert {*GPU_WANTED, *ENGINE_WANTED, *DCGM_LINES} <= set(SIGNALS)


def test_the_lines_for_the_csv_are_fields_that_are_read() -> None:
    for signal, line in DCGM_LINES.items():
        assert line.partition(",")[0] in NAMES, signal
    assert INTEGRALS["joulewise.gpu.nvlink.rate"] in DCGM_LINES
