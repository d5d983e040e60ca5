"""One GPU through NVML: its handle, what it is, and its readings in base units.

What a GPU or driver does not have is normal and learnt once: it is not asked for again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from agent.nvml_errors import DRIVER_GONE, GPU_GONE, LASTING, codes
from agent.nvml_fields import BOARD, FieldKey, keys, read_fields
from agent.nvml_gpm import Activity
from agent.vocabulary import Attributes, Reading, attributes

Call = Callable[[Any, Any], float]
"""Asks NVML (the module) about a handle; raises its NVMLError where there is no answer."""

VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""The member of NVML's value union by value type."""
GPM = "activity"


def _temperature(nvml: Any, handle: Any) -> float:
    try:
        return float(nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU))
    except nvml.NVMLError:  # drivers before 560
        return float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))


def _clock(kind: str) -> Call:
    return lambda nvml, handle: 1e6 * nvml.nvmlDeviceGetClockInfo(handle, getattr(nvml, kind))


def _memory(member: str) -> Call:
    return lambda nvml, handle: float(
        getattr(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2), member)
    )


CALLS: tuple[tuple[str, dict[str, str], Call], ...] = (
    ("hw.energy", BOARD, lambda n, h: n.nvmlDeviceGetTotalEnergyConsumption(h) / 1e3),
    ("hw.power", BOARD, lambda n, h: n.nvmlDeviceGetPowerUsage(h) / 1e3),
    ("joulewise.gpu.power.limit", {}, lambda n, h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1e3),
    (
        "hw.gpu.utilization",
        {"hw.gpu.task": "general"},
        lambda n, h: n.nvmlDeviceGetUtilizationRates(h).gpu / 1e2,
    ),
    ("hw.gpu.memory.usage", {}, _memory("used")),  # version 2: without the driver's reserve
    ("hw.gpu.memory.limit", {}, _memory("total")),
    ("joulewise.gpu.clock.sm", {}, _clock("NVML_CLOCK_SM")),
    ("joulewise.gpu.clock.memory", {}, _clock("NVML_CLOCK_MEM")),
    ("hw.temperature", {"hw.sensor_location": "gpu"}, _temperature),
)
"""What is asked call by call, unless a field has given it already."""

DESCRIPTION: tuple[tuple[str, Callable[[Any, Any], object]], ...] = (
    ("hw.model", lambda n, h: n.nvmlDeviceGetName(h)),
    ("hw.driver_version", lambda n, _: n.nvmlSystemGetDriverVersion()),
    (
        "joulewise.gpu.compute_capability",
        lambda n, h: "{}.{}".format(*n.nvmlDeviceGetCudaComputeCapability(h)),
    ),
    ("joulewise.gpu.memory", lambda n, h: n.nvmlDeviceGetMemoryInfo(h).total),
    ("joulewise.gpu.pcie.generation", lambda n, h: n.nvmlDeviceGetMaxPcieLinkGeneration(h)),
    ("joulewise.gpu.pcie.width", lambda n, h: n.nvmlDeviceGetMaxPcieLinkWidth(h)),
    ("joulewise.gpu.vbios", lambda n, h: n.nvmlDeviceGetVbiosVersion(h)),
)


class Device:
    """One physical GPU. `missing` holds what it does not have, with NVML's reason."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._lasting = codes(nvml, LASTING)
        self._gone = codes(nvml, (*GPU_GONE, *DRIVER_GONE))
        self.uuid: str = nvml.nvmlDeviceGetUUID(handle)
        self.missing: dict[str, str] = {}
        self._keys: tuple[FieldKey, ...] = keys()
        self._labels: dict[Attributes, Attributes] = {}
        self._info = Reading("joulewise.gpu.info", attributes(dict(self._description())), 1.0)
        self._activity = self._monitoring()

    def read(self) -> tuple[Reading, ...]:
        """Everything this GPU says now.

        Raises:
            NVMLError: the GPU or the driver is gone, not merely without an answer.
        """
        found = {(r.signal, r.attributes): r for r in read_fields(self._field_values())}
        for signal, named, call in CALLS:
            key = (signal, attributes(named))
            if key not in found and (value := self._ask(_name(signal, named), call)) is not None:
                found[key] = Reading(*key, value)
        return tuple(self._owned(r) for r in (*found.values(), *self._levels(), self._info))

    def is_at(self, address: int | None) -> bool:
        """Whether NVML means this GPU by the handle at that address."""
        return address is not None and address == handle_address(self._handle)

    def listen(self, events: Any) -> None:
        """Have NVML report this GPU's XIDs to an event set."""
        self._ask(
            "joulewise.gpu.xid",
            lambda n, h: n.nvmlDeviceRegisterEvents(h, n.nvmlEventTypeXidCriticalError, events),
        )

    def computing(self) -> tuple[int, ...]:
        """The ids of the processes that compute on this GPU, as this PID namespace sees them."""
        running = self._ask("processes", _running)
        return tuple(int(process.pid) for process in running or ())

    def close(self) -> None:
        """Give back what the driver holds for us."""
        if self._activity is not None:
            self._activity.close()

    def _owned(self, reading: Reading) -> Reading:
        pairs = self._labels.get(reading.attributes)
        if pairs is None:
            pairs = attributes({**dict(reading.attributes), "hw.id": self.uuid})
            self._labels[reading.attributes] = pairs
        return Reading(reading.signal, pairs, reading.value)

    def _field_values(self) -> dict[FieldKey, float]:
        """The values of all fields in one call; a field the GPU does not have is forgotten."""
        asked = list(self._keys)
        answers = self._ask("fields", lambda n, h: n.nvmlDeviceGetFieldValues(h, asked))
        if answers is None:
            return {}
        pairs = tuple(zip(asked, answers, strict=True))
        self._keys = tuple(key for key, one in pairs if one.nvmlReturn not in self._lasting)
        return {
            key: float(getattr(one.value, VALUE_MEMBERS[one.valueType]))
            for key, one in pairs
            if one.nvmlReturn == self._nvml.NVML_SUCCESS
        }

    def _levels(self) -> tuple[Reading, ...]:
        activity = self._activity
        return self._ask(GPM, lambda *_: activity.read()) or () if activity is not None else ()

    def _monitoring(self) -> Activity | None:
        mode = self._ask("MIG", lambda n, h: n.nvmlDeviceGetMigMode(h)[0])
        if mode == self._nvml.NVML_DEVICE_MIG_ENABLE:
            self.missing[GPM] = "MIG is on; slices are not read yet"
            return None
        activity: Activity | None = self._ask(GPM, Activity.of)
        if activity is None:
            self.missing.setdefault(GPM, "this GPU has none (Hopper and later do)")
        return activity

    def _ask(self, name: str, call: Callable[[Any, Any], Any]) -> Any:
        """The answer, or None; what will never have one is not asked again."""
        if name in self.missing:
            return None
        try:
            return call(self._nvml, self._handle)
        except self._nvml.NVMLError as error:
            if error.value in self._gone:
                raise
            if error.value in self._lasting:
                self.missing[name] = str(error)
            return None

    def _description(self) -> Iterator[tuple[str, str]]:
        for attribute, call in DESCRIPTION:
            value = self._ask(attribute, call)
            if value is not None:
                yield attribute, str(value)
        fabric = self._ask("fabric", _fabric)
        if fabric is not None and fabric.state == self._nvml.NVML_GPU_FABRIC_STATE_COMPLETED:
            yield "joulewise.fabric.cluster", str(UUID(bytes=bytes(fabric.clusterUuid)))
            yield "joulewise.fabric.clique", str(fabric.cliqueId)


def handle_address(handle: Any) -> int | None:
    """Where NVML keeps the GPU that a handle means."""
    return ctypes.cast(handle, ctypes.c_void_p).value


def _fabric(nvml: Any, handle: Any) -> Any:
    fabric = nvml.c_nvmlGpuFabricInfo_v2_t()
    nvml.nvmlDeviceGetGpuFabricInfoV(handle, ctypes.byref(fabric))
    return fabric


def _running(nvml: Any, handle: Any) -> Any:
    """Processes by the newest call there is: the one without a version refuses older drivers."""
    try:
        return nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
    except nvml.NVMLError_FunctionNotFound:
        return nvml.nvmlDeviceGetComputeRunningProcesses_v2(handle)


def _name(signal: str, named: dict[str, str]) -> str:
    location = named.get("hw.sensor_location")
    return f"{signal} {location}" if location else signal
