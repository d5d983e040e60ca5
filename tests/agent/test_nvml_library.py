"""The true nvidia-ml-py over a compiled libnvidia-ml.so.1 of our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "mock_nvml" / "nvml.c"
SCRIPT = """
import json, sys, time
from agent.errors import NoData
from agent.nvml import NvmlGpus
gpus = NvmlGpus(origin_s=1000.0, clock=lambda: 0.0)
reads = []
for _ in range(int(sys.argv[1])):
    try:
        reads.append({gpu.uuid: [[r.signal, dict(r.attributes), r.value] for r in gpu.readings] for gpu in gpus.read()})
    except NoData as error:
        reads.append(str(error))
    time.sleep(0.12)
missing = {uuid: dict(reasons) for uuid, reasons in gpus.missing().items()}
print(json.dumps({"reads": reads, "missing": missing, "computing": dict(gpus.computing())}))
gpus.close()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("compiler: neither gcc nor cc is there to build the mock libnvidia-ml")
    folder = tmp_path_factory.mktemp("nvml")
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", str(SOURCE)]
    command += ["-Wl,-soname,libnvidia-ml.so.1", "-o", str(folder / "libnvidia-ml.so.1")]
    subprocess.run(command, check=True)
    return folder


def read(library: Path, fault: str = "", reads: int = 1) -> dict[str, Any]:
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(library),
        "MOCK_NVML": fault,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", SCRIPT, str(reads)]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    said: dict[str, Any] = json.loads(answer.stdout)
    return said


def value(readings: list[list[Any]], signal: str, **named: str) -> float | None:
    wanted = {name.replace("__", "."): word for name, word in named.items()}
    found = [v for s, a, v in readings if s == signal and wanted.items() <= a.items()]
    assert len(found) <= 1, found
    return found[0] if found else None


@pytest.fixture(scope="module")
def said(library: Path) -> dict[str, Any]:
    return read(library, reads=2)


@pytest.mark.parametrize(
    ("signal", "named", "expected"),
    [
        ("hw.energy", {}, 123456.789),
        ("hw.power", {}, 412.345),
        ("joulewise.gpu.power.limit", {}, 700.0),
        ("hw.gpu.utilization", {}, 0.91),
        ("hw.gpu.memory.usage", {}, 69.4e9),
        ("hw.gpu.memory.limit", {}, 85520809984.0),
        ("joulewise.gpu.clock.sm", {}, 1.98e9),
        ("joulewise.gpu.clock.memory", {}, 2.619e9),
        ("hw.temperature", {"hw__sensor_location": "gpu"}, 61.0),
        ("hw.temperature", {"hw__sensor_location": "memory"}, 70.0),
        ("joulewise.gpu.throttle.time", {"joulewise__reason": "power_cap"}, 2.5),
        ("joulewise.gpu.throttle.time", {"joulewise__reason": "other"}, 1.5),
        ("joulewise.gpu.nvlink.io", {"network__io__direction": "transmit"}, 4096.0),
        ("joulewise.gpu.nvlink.io", {"network__io__direction": "receive"}, 8192.0),
        ("hw.gpu.io", {"network__io__direction": "transmit"}, 111.0),
        ("hw.gpu.io", {"network__io__direction": "receive"}, 222.0),
        ("joulewise.gpu.pcie.replays", {}, 3.0),
        ("hw.errors", {"error__type": "corrected"}, 5.0),
        ("hw.errors", {"error__type": "uncorrected"}, 0.0),
        ("joulewise.gpu.row_remaps", {"joulewise__state": "done"}, 1.0),
        ("joulewise.gpu.row_remaps", {"joulewise__state": "failed"}, None),
        ("joulewise.gpu.xid", {"joulewise__xid": "79"}, 1.0),
    ],
)
def test_a_gpu_is_read_in_base_units(
    said: dict[str, Any], signal: str, named: dict[str, str], expected: float | None
) -> None:
    assert value(said["reads"][0]["GPU-a"], signal, **named) == expected


def test_nvlink_5_adds_the_bytes_of_its_links(said: dict[str, Any]) -> None:
    readings = said["reads"][0]["GPU-b"]
    signal = "joulewise.gpu.nvlink.io"
    assert value(readings, signal, network__io__direction="transmit") == 18_000.0
    assert value(readings, signal, network__io__direction="receive") == 54_000.0


def test_a_memory_temperature_of_zero_is_absent(said: dict[str, Any]) -> None:
    readings = said["reads"][0]["GPU-b"]
    assert value(readings, "hw.temperature", hw__sensor_location="memory") is None


def test_every_reading_names_its_gpu(said: dict[str, Any]) -> None:
    for uuid, readings in said["reads"][0].items():
        assert {named["hw.id"] for _, named, _ in readings} == {uuid}


def test_a_gpu_says_what_it_is(said: dict[str, Any]) -> None:
    info = next(a for s, a, _ in said["reads"][0]["GPU-a"] if s == "joulewise.gpu.info")
    assert info == {
        "hw.id": "GPU-a",
        "hw.model": "NVIDIA H100 80GB HBM3",
        "hw.driver_version": "580.65.06",
        "joulewise.gpu.compute_capability": "9.0",
        "joulewise.gpu.memory": "85520809984",
    }


def test_activity_is_the_mean_between_two_reads(said: dict[str, Any]) -> None:
    first, second = (read["GPU-a"] for read in said["reads"])
    assert value(first, "joulewise.gpu.sm.active") is None
    assert value(second, "joulewise.gpu.sm.active") == 0.2
    assert value(second, "joulewise.gpu.tensor.active") == 0.5


def test_activity_that_is_not_a_number_or_refused_is_absent(said: dict[str, Any]) -> None:
    readings = said["reads"][1]["GPU-a"]
    assert value(readings, "joulewise.gpu.sm.occupancy") is None
    assert value(readings, "joulewise.gpu.dram.active") is None


def test_what_a_gpu_does_not_have_is_known_with_its_reason(said: dict[str, Any]) -> None:
    assert "Hopper" in said["missing"]["GPU-b"]["activity"]
    assert "Function Not Found" in said["missing"]["GPU-a"]["joulewise.gpu.vbios"]


def test_the_processes_that_compute_on_a_gpu_are_known(said: dict[str, Any]) -> None:
    assert said["computing"] == {"GPU-a": [4242], "GPU-b": []}


def test_a_driver_without_field_values_is_read_call_by_call(library: Path) -> None:
    readings = read(library, "no_fields")["reads"][0]["GPU-a"]
    assert value(readings, "hw.energy") == 7.5
    assert value(readings, "hw.power") == 310.5
    assert value(readings, "joulewise.gpu.nvlink.io", network__io__direction="receive") is None


def test_a_lost_gpu_leaves_the_others(library: Path) -> None:
    before, after = read(library, "lost", reads=2)["reads"]
    assert set(before) == {"GPU-a", "GPU-b"}
    assert set(after) == {"GPU-a"}


def test_a_driver_that_is_not_loaded_is_a_reason_with_a_next_step(library: Path) -> None:
    (refusal,) = read(library, "no_driver")["reads"]
    assert "Driver Not Loaded" in refusal
    assert "dmesg" in refusal
