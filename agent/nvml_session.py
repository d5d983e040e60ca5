"""One session with NVIDIA's library: which GPUs it has, what each reads, and the XIDs that came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from agent.nvml_device import Device, handle_address
from agent.nvml_errors import DRIVER_GONE, NvmlError, is_one, translated
from agent.vocabulary import Reading, attributes


class Session:
    """NVML between its init and its shutdown. `xids` counts events by GPU and code."""

    def __init__(self, nvml: Any, xids: Counter[tuple[str, int]]) -> None:
        self.nvml = nvml
        self.error: type[Exception] = nvml.NVMLError
        self.lost: dict[str, str] = {}
        self.devices: list[Device] = []
        self._xids = xids
        self._events: Any = None

    @classmethod
    def opened(cls, nvml: Any, xids: Counter[tuple[str, int]]) -> Session:
        """A session with every GPU that gives a handle.

        Raises:
            NvmlError: the library refuses or sees no GPU.
        """
        session = cls(nvml, xids)
        try:
            nvml.nvmlInit()
            session._find_devices()
            session._register_events()
        except nvml.NVMLError as error:
            session.close()
            raise translated(nvml, error, "opening NVML") from error
        if not session.devices:
            session.close()
            raise NvmlError(f"opening NVML: no GPU to read; {in_words(session.lost)}")
        return session

    def _find_devices(self) -> None:
        for index in range(self.nvml.nvmlDeviceGetCount()):
            try:
                handle = self.nvml.nvmlDeviceGetHandleByIndex(index)
                self.devices.append(Device(self.nvml, handle))
            except self.error as error:
                if is_one(self.nvml, error, DRIVER_GONE):
                    raise
                self.lost[f"GPU {index}"] = str(error)

    def _register_events(self) -> None:
        """Listen for XIDs; where that is refused, their count is absent."""
        try:
            self._events = self.nvml.nvmlEventSetCreate()
            for device in self.devices:
                device.listen(self._events)
        except self.error:
            self._events = None

    def read(self) -> Iterator[tuple[Device, tuple[Reading, ...]]]:
        """The readings of each GPU that answers.

        Raises:
            NVMLError: the driver is gone.
        """
        self._take_events()
        for device in self.devices:
            try:
                readings = device.read()
            except self.error as error:
                if is_one(self.nvml, error, DRIVER_GONE):
                    raise
                self.lost[device.uuid] = str(error)
                continue
            self.lost.pop(device.uuid, None)
            yield device, (*readings, *self._xid_readings(device.uuid))

    def _take_events(self) -> None:
        """Count the XIDs that came since the last read, without waiting for one."""
        while self._events is not None:
            try:
                event = self.nvml.nvmlEventSetWait_v2(self._events, 0)
            except self.error as error:
                if not is_one(self.nvml, error, ("TIMEOUT",)):
                    self._events = None
                return
            address = handle_address(event.device)
            for device in self.devices:
                if device.is_at(address):
                    self._xids[device.uuid, int(event.eventData)] += 1

    def _xid_readings(self, uuid: str) -> Iterator[Reading]:
        for (owner, code), count in self._xids.items():
            if owner == uuid:
                pairs = attributes({"hw.id": uuid, "joulewise.xid": str(code)})
                yield Reading("joulewise.gpu.xid", pairs, float(count))

    def close(self) -> None:
        """Give everything back; a driver that is gone takes nothing."""
        try:
            for device in self.devices:
                device.close()
            if self._events is not None:
                self.nvml.nvmlEventSetFree(self._events)
            self.nvml.nvmlShutdown()
        except self.error:
            return


def in_words(lost: Mapping[str, str]) -> str:
    """Which GPUs fell away and why, with where to look."""
    said = ", ".join(f"{name}: {reason}" for name, reason in lost.items())
    return f"{said or 'the driver sees no GPU'}; see `nvidia-smi` and `dmesg | grep -i xid`"
