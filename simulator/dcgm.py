"""The page of dcgm-exporter 4: its units, its labels, one row a GPU and field."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.board import DRIVER_VERSION, Board

_FIELDS = (
    ("SM_CLOCK", "gauge", "SM clock (in MHz)."),
    ("MEM_CLOCK", "gauge", "Memory clock (in MHz)."),
    ("GPU_TEMP", "gauge", "GPU temperature (in C)."),
    ("POWER_USAGE", "gauge", "Power draw (in W)."),
    ("ENFORCED_POWER_LIMIT", "gauge", "Power limit (in W)."),
    ("TOTAL_ENERGY_CONSUMPTION", "counter", "Energy since boot (in mJ)."),
    ("GPU_UTIL", "gauge", "GPU utilization (in %)."),
    ("FB_FREE", "gauge", "Framebuffer free (in MiB)."),
    ("FB_USED", "gauge", "Framebuffer used (in MiB)."),
    ("FB_RESERVED", "gauge", "Framebuffer reserved (in MiB)."),
    ("GR_ENGINE_ACTIVE", "gauge", "Share of time the engine was active."),
    ("SM_ACTIVE", "gauge", "Share of time an SM was active."),
    ("PIPE_TENSOR_ACTIVE", "gauge", "Share of time a tensor pipe was active."),
    ("DRAM_ACTIVE", "gauge", "Share of time memory moved data."),
)
_PROFILING = {"GR_ENGINE_ACTIVE", "SM_ACTIVE", "PIPE_TENSOR_ACTIVE", "DRAM_ACTIVE"}


def render(boards: Sequence[Board], host_name: str) -> bytes:
    """The page of one node."""
    lines: list[str] = []
    rows = [(_labels(board, host_name), _values(board)) for board in boards]
    for field, kind, brief in _FIELDS:
        group = "PROF" if field in _PROFILING else "DEV"
        name = f"DCGM_FI_{group}_{field}"
        lines.append(f"# HELP {name} {brief}\n# TYPE {name} {kind}\n")
        lines.extend(f"{name}{{{labels}}} {values[field]}\n" for labels, values in rows)
    return "".join(lines).encode()


def _labels(board: Board, host_name: str) -> str:
    bus = f"00000000:{16 + board.index:02X}:00.0"
    return (
        f'gpu="{board.index}",UUID="{board.uuid}",pci_bus_id="{bus}",'
        f'device="nvidia{board.index}",modelName="{board.part.product}",Hostname="{host_name}",'
        f'DCGM_FI_DRIVER_VERSION="{DRIVER_VERSION}"'
    )


def _values(board: Board) -> dict[str, str]:
    mebibyte = 2**20
    reserved = 600
    used = int(board.memory_used_bytes / mebibyte)
    total = int(board.memory_total_bytes / mebibyte)
    return {
        "SM_CLOCK": f"{board.sm_clock_hz / 1e6:.0f}",
        "MEM_CLOCK": f"{board.part.memory_clock_hz / 1e6:.0f}",
        "GPU_TEMP": f"{board.temperature_celsius:.0f}",
        "POWER_USAGE": f"{board.power_w:.6f}",
        "ENFORCED_POWER_LIMIT": f"{board.power_limit_w:.6f}",
        "TOTAL_ENERGY_CONSUMPTION": f"{board.energy_j * 1e3:.0f}",
        "GPU_UTIL": f"{board.utilization * 100:.0f}",
        "FB_FREE": f"{max(total - used - reserved, 0)}",
        "FB_USED": f"{used}",
        "FB_RESERVED": f"{reserved}",
        "GR_ENGINE_ACTIVE": f"{board.utilization:.6f}",
        "SM_ACTIVE": f"{board.sm_active:.6f}",
        "PIPE_TENSOR_ACTIVE": f"{board.tensor_active:.6f}",
        "DRAM_ACTIVE": f"{board.dram_active:.6f}",
    }
