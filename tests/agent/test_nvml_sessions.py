"""Sessions with NVML that end, and modules that are not NVIDIA's: a stand-in for nvidia-ml-py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from agent.nvml import RETRY_S, NvmlGpus, boot_time_s, load_nvml
from agent.nvml_errors import NvmlError
from agent.nvml_fields import FIELDS, MAX_LINKS, keys, read_fields
from agent.nvml_gpm import SHORTEST_S, Activity
from agent.vocabulary import SIGNALS

UNINITIALIZED = pynvml.NVML_ERROR_UNINITIALIZED


class Driver:
    """As much of `pynvml` as one GPU needs, in front of its constants and errors."""

    def __init__(self) -> None:
        self.inits = 0
        self.failure: int | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML_", "NVMLError", "nvmlEventType", "nvmlMemory_", "c_nvml")):
            return getattr(pynvml, name)
        raise_missing: Callable[..., Any] = self._missing
        return raise_missing

    def _missing(self, *_: object, **__: object) -> Any:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)

    def nvmlInit(self) -> None:  # noqa: N802 - its name in pynvml
        self.inits += 1
        self._fail()

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - its name in pynvml
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - its name in pynvml
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802 - its name in pynvml
        return "GPU-a"

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802 - its name in pynvml
        self._fail()
        return 250_000

    def _fail(self) -> None:
        if self.failure is not None:
            raise pynvml.NVMLError(self.failure)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def powers(gpus: NvmlGpus) -> list[float]:
    return [r.value for g in gpus.read() for r in g.readings if r.signal == "hw.power"]  # type: ignore[misc]  # no histogram


def test_handles_are_kept_between_reads() -> None:
    driver = Driver()
    gpus = NvmlGpus(load=lambda: driver)
    assert powers(gpus) == powers(gpus) == [250.0]
    assert driver.inits == 1


def test_a_driver_that_went_away_is_opened_anew() -> None:
    driver, clock = Driver(), Clock()
    gpus = NvmlGpus(load=lambda: driver, clock=clock)
    gpus.read()
    driver.failure = UNINITIALIZED
    with pytest.raises(NvmlError, match="reading GPUs"):
        gpus.read()
    driver.failure = None
    assert powers(gpus) == [250.0]
    assert driver.inits == 2


def test_a_driver_that_is_not_there_is_not_asked_at_every_read() -> None:
    driver, clock = Driver(), Clock()
    driver.failure = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    gpus = NvmlGpus(load=lambda: driver, clock=clock)
    for _ in range(3):
        with pytest.raises(NvmlError, match="kernel module is not loaded"):
            gpus.read()
    assert driver.inits == 1
    clock.now_s += RETRY_S
    driver.failure = None
    assert powers(gpus) == [250.0]


def test_a_lost_gpu_is_said_and_looked_for_again() -> None:
    driver, clock = Driver(), Clock()
    gpus = NvmlGpus(load=lambda: driver, clock=clock)
    gpus.read()
    driver.failure = pynvml.NVML_ERROR_GPU_IS_LOST
    with pytest.raises(NvmlError, match="GPU-a: GPU is lost"):
        gpus.read()
    driver.failure = None
    clock.now_s += RETRY_S
    assert powers(gpus) == [250.0]


def test_a_package_that_only_bears_the_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(nvmlInit=None))
    with pytest.raises(NvmlError, match="not NVIDIA's package"):
        load_nvml()


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NvmlError, match="pip install nvidia-ml-py"):
        load_nvml()


def test_counters_begin_at_the_boot(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 1 2\nbtime 1700000000\nprocesses 5\n")
    assert boot_time_s(stat) == 1.7e9
    assert boot_time_s(tmp_path / "none") is None


def test_every_field_is_of_the_vocabulary() -> None:
    for source in FIELDS:
        assert set(source.attributes) <= set(SIGNALS[source.signal].attributes)


def test_the_first_field_that_answers_stands() -> None:
    both = {r.signal: r.value for r in read_fields({(185, 0): 400_000.0, (186, 0): 390_000.0})}
    assert both == {"hw.power": 400.0}
    moment = {r.signal: r.value for r in read_fields({(186, 0): 390_000.0})}
    assert moment == {"hw.power": 390.0}


def test_a_field_is_asked_for_once() -> None:
    asked = keys()
    assert len(asked) == len(set(asked))
    assert sum(number == 202 for number, _ in asked) == MAX_LINKS


def test_activity_is_not_divided_over_too_short_a_time() -> None:
    clock = Clock()
    taken: list[object] = []
    driver = Driver()
    driver.nvmlGpmSampleAlloc = pynvml.c_nvmlGpmSample_t  # type: ignore[attr-defined]
    driver.nvmlGpmSampleGet = lambda _, sample: taken.append(sample)  # type: ignore[attr-defined]
    activity = Activity(driver, 0, clock)
    assert activity.read() == ()
    clock.now_s += SHORTEST_S / 2
    assert activity.read() == ()
    assert len(taken) == 1
