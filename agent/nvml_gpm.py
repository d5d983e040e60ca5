"""Activity of SMs, tensor pipes and memory through NVML's GPU performance monitoring.

Hopper and later have it. NVML gives the mean between two samples of its own; the last one is kept
and each read takes the next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from agent.vocabulary import Reading

METRICS = {
    1: "joulewise.gpu.engine.active",
    2: "joulewise.gpu.sm.active",
    3: "joulewise.gpu.sm.occupancy",
    5: "joulewise.gpu.tensor.active",  # any tensor pipe
    10: "joulewise.gpu.dram.active",
}
"""NVML_GPM_METRIC_* in percent."""
SHORTEST_S = 0.1
"""Between samples closer than this the counters move too little to divide."""


class Activity:
    """The levels of one GPU since they were last read; the first read gives none."""

    def __init__(self, nvml: Any, handle: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml = nvml
        self._handle = handle
        self._clock = clock
        self._request = nvml.c_nvmlGpmMetricsGet_t()
        self._request.version = nvml.NVML_GPM_METRICS_GET_VERSION
        self._request.numMetrics = len(METRICS)
        for slot, metric in enumerate(METRICS):
            self._request.metrics[slot].metricId = metric
        self._last = nvml.nvmlGpmSampleAlloc()
        self._next = nvml.nvmlGpmSampleAlloc()
        self._taken_s = -math.inf

    @classmethod
    def of(cls, nvml: Any, handle: Any) -> Activity | None:
        """What reads the activity of a GPU; None where the GPU has no such monitoring.

        Raises:
            NVMLError: it has, and refuses.
        """
        if not nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice:
            return None
        return cls(nvml, handle)

    def read(self) -> tuple[Reading, ...]:
        """The mean levels since the last read, 0 to 1; none at the first or too soon after.

        Raises:
            NVMLError: the sample was refused.
        """
        now_s = self._clock()
        if now_s - self._taken_s < SHORTEST_S:
            return ()
        self._nvml.nvmlGpmSampleGet(self._handle, self._next)
        self._last, self._next = self._next, self._last
        is_first = math.isinf(self._taken_s)
        self._taken_s = now_s
        return () if is_first else tuple(self._levels())

    def _levels(self) -> Iterator[Reading]:
        self._request.sample1, self._request.sample2 = self._next, self._last
        self._nvml.nvmlGpmMetricsGet(self._request)
        for slot, signal in enumerate(METRICS.values()):
            answer = self._request.metrics[slot]
            percent = answer.value
            if answer.nvmlReturn == self._nvml.NVML_SUCCESS and math.isfinite(percent):
                yield Reading(signal, (), min(1.0, max(0.0, percent / 100.0)))

    def close(self) -> None:
        """Give the samples back."""
        self._nvml.nvmlGpmSampleFree(self._last)
        self._nvml.nvmlGpmSampleFree(self._next)
