"""Simulated GPUs at the agent's seam: what NVML would say of a simulated node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.nvml import GpuReading
from agent.vocabulary import Attributes, Reading, attributes
from simulator.board import DRIVER_VERSION, Board

_BOARD = attributes({"hw.type": "gpu", "joulewise.scope": "gpu"})
_GENERAL = attributes({"hw.gpu.task": "general"})
_CORE = attributes({"hw.sensor_location": "gpu"})
_SENT = attributes({"network.io.direction": "transmit"})
_RECEIVED = attributes({"network.io.direction": "receive"})
_ACTIVE_LINKS = attributes({"joulewise.state": "active"})
_EXPECTED_LINKS = attributes({"joulewise.state": "expected"})
_QUIET = tuple(
    Reading("joulewise.gpu.throttle.time", attributes({"joulewise.reason": reason}), 0.0)
    for reason in ("power_cap", "thermal_sw", "thermal_hw")
) + tuple(
    Reading("hw.errors", attributes({"hw.type": "gpu", "error.type": kind}), 0.0)
    for kind in ("corrected", "uncorrected")
)
"""A simulated GPU is never held back and never fails."""


class SimulatedGpus:
    """The GPUs of a node; `boards` gives them as they are, counting from `origin_s`."""

    def __init__(self, boards: Callable[[], Sequence[Board]], origin_s: float) -> None:
        self._boards = boards
        self._origin_s = origin_s
        self._infos: dict[str, Reading] = {}

    def read(self) -> Sequence[GpuReading]:
        """Every GPU."""
        return [
            GpuReading(board.uuid, self._readings(board), self._origin_s)
            for board in self._boards()
        ]

    def _readings(self, board: Board) -> tuple[Reading, ...]:
        return (
            Reading("hw.energy", _BOARD, board.energy_j),
            Reading("hw.power", _BOARD, board.power_w),
            Reading("joulewise.gpu.power.limit", (), board.power_limit_w),
            Reading("hw.gpu.utilization", _GENERAL, board.utilization),
            Reading("hw.gpu.memory.usage", (), board.memory_used_bytes),
            Reading("hw.gpu.memory.limit", (), board.memory_total_bytes),
            Reading("hw.gpu.io", _SENT, board.pcie_transmit_bytes),
            Reading("hw.gpu.io", _RECEIVED, board.pcie_receive_bytes),
            Reading("hw.temperature", _CORE, board.temperature_celsius),
            Reading("joulewise.gpu.clock.sm", (), board.sm_clock_hz),
            Reading("joulewise.gpu.clock.memory", (), board.part.memory_clock_hz),
            Reading("joulewise.gpu.engine.active", (), board.utilization),
            Reading("joulewise.gpu.sm.active", (), board.sm_active),
            Reading("joulewise.gpu.tensor.active", (), board.tensor_active),
            Reading("joulewise.gpu.dram.active", (), board.dram_active),
            Reading("joulewise.gpu.nvlink.io", _SENT, board.nvlink_bytes),
            Reading("joulewise.gpu.nvlink.io", _RECEIVED, board.nvlink_bytes),
            Reading("joulewise.gpu.nvlink.links", _ACTIVE_LINKS, float(board.part.nvlinks)),
            Reading("joulewise.gpu.nvlink.links", _EXPECTED_LINKS, float(board.part.nvlinks)),
            *_QUIET,
            self._info(board),
        )

    def _info(self, board: Board) -> Reading:
        if board.uuid not in self._infos:
            self._infos[board.uuid] = Reading("joulewise.gpu.info", _described(board), 1.0)
        return self._infos[board.uuid]


def _described(board: Board) -> Attributes:
    return attributes(
        {
            "hw.model": board.part.product,
            "hw.driver_version": DRIVER_VERSION,
            "joulewise.gpu.compute_capability": board.part.compute_capability,
            "joulewise.gpu.memory": f"{board.memory_total_bytes:.0f}",
            "joulewise.gpu.pcie.generation": "5",
            "joulewise.gpu.pcie.width": "16",
        }
    )
