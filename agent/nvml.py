"""The GPUs of this node, in base units, behind a seam that a simulator can take the place of.

`NvmlGpus` reads them through nvidia-ml-py; what lies between is in the other `nvml_*` modules.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from agent.nvml_errors import NvmlError, translated
from agent.nvml_session import Session, in_words
from agent.vocabulary import Reading

RETRY_S = 30.0
"""Between attempts to open a session again after the driver or a GPU went away."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at this moment. `origin_s`: the Unix time its counters began at, None if unknown."""

    uuid: str
    readings: tuple[Reading, ...]
    origin_s: float | None = None


class GpuSource(Protocol):
    """Whatever can read GPUs.

    Counters as they stand, levels as they are: energy in J, power in W, activity 0..1, clocks in
    Hz. Every reading may carry `hw.id`; windows add it where it is missing.
    """

    def read(self) -> Sequence[GpuReading]:
        """Every GPU that answers.

        Raises:
            NoData: none can be read; the message says why.
        """
        ...


class NvmlGpus:
    """The GPUs that NVML sees; handles are kept and, after an error, looked up anew.

    `origin_s` is when counters are said to begin. NVML counts since the driver was loaded and does
    not say when that was; the boot is the last moment before it that is known, and a later reload
    shows as a counter that went back.
    """

    def __init__(
        self,
        *,
        origin_s: float | None = None,
        load: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.origin_s = boot_time_s() if origin_s is None else origin_s
        self._load = load or load_nvml
        self._clock = clock
        self._session: Session | None = None
        self._xids: Counter[tuple[str, int]] = Counter()
        self._retry_at_s = 0.0
        self._refusal: NvmlError | None = None

    def read(self) -> Sequence[GpuReading]:
        """Every GPU that answers; one that fell away is left out and looked for again later.

        Raises:
            NvmlError: there is no driver, no GPU, or none answers.
        """
        session = self._opened()
        readings: list[GpuReading] = []
        try:
            for device, found in session.read():
                readings.append(GpuReading(device.uuid, found, self.origin_s))
        except session.error as error:
            self._close()
            raise translated(session.nvml, error, "reading GPUs through NVML") from error
        if session.lost and self._clock() >= self._retry_at_s:
            self._retry_at_s = self._clock() + RETRY_S
            self._close()
        if not readings:
            raise NvmlError(f"reading GPUs through NVML: none answers; {in_words(session.lost)}")
        return readings

    def missing(self) -> Mapping[str, Mapping[str, str]]:
        """What each GPU does not have, with NVML's reason; known after a first read."""
        if self._session is None:
            return {}
        return {device.uuid: device.missing for device in self._session.devices}

    def computing(self) -> Mapping[str, tuple[int, ...]]:
        """The processes that compute on each GPU, by UUID; known after a first read."""
        session = self._session
        if session is None:
            return {}
        try:
            return {device.uuid: device.computing() for device in session.devices}
        except session.error:  # a GPU or the driver went away; the next read says so
            return {}

    def close(self) -> None:
        """End the session; the next read opens another."""
        self._close()

    def _opened(self) -> Session:
        if self._session is None:
            if self._refusal is not None and self._clock() < self._retry_at_s:
                raise self._refusal
            try:
                self._session = Session.opened(self._load(), self._xids)
                self._refusal = None
            except NvmlError as refusal:
                self._refusal = refusal
                self._retry_at_s = self._clock() + RETRY_S
                raise
        return self._session

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def load_nvml() -> Any:
    """The module of nvidia-ml-py.

    Raises:
        NvmlError: it is not installed, or another package took its name.
    """
    try:
        nvml = import_module("pynvml")
    except ImportError as error:
        raise NvmlError(
            "opening NVML: the package nvidia-ml-py is missing; pip install nvidia-ml-py"
        ) from error
    if not hasattr(nvml, "_nvmlGetFunctionPointer"):
        raise NvmlError(
            "opening NVML: `pynvml` is not NVIDIA's package; "
            "pip uninstall pynvml && pip install --force-reinstall nvidia-ml-py"
        )
    return nvml


def boot_time_s(stat: Path = Path("/proc/stat")) -> float | None:
    """The Unix time this machine booted, as the kernel says (`btime`); None where it does not."""
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), None)
