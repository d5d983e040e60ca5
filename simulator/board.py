"""What a simulated GPU shows: counters follow its instance's tokens, levels its batch.

Energy and power are those of the measured curve. Activity, link bytes, clocks and temperature were
measured nowhere: they are computed from the model's size and the curve's step time.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from simulator.curves import BOARD_POWER_W
from simulator.instance import GPU_MEMORY_BYTES, Instance
from simulator.tally import Levels, Tally


@dataclass(frozen=True, slots=True)
class Part:
    """A GPU part as the driver names it, with bandwidth, dense BF16 rate, clocks and links."""

    product: str
    compute_capability: str
    bandwidth_bytes_per_s: float
    bf16_flops: float
    sm_clock_hz: float
    memory_clock_hz: float
    nvlinks: int


PARTS = {
    "H100": Part("NVIDIA H100 80GB HBM3", "9.0", 3.35e12, 989e12, 1980e6, 2619e6, 18),
    "B200": Part("NVIDIA B200", "10.0", 7.67e12, 2250e12, 1965e6, 3996e6, 18),
}
DRIVER_VERSION = "580.105.08"
_IDLE_CLOCK_HZ = 345e6
_PCIE_BYTES_PER_TOKEN = 4096.0


@dataclass(frozen=True, slots=True)
class Board:
    """One GPU at one moment; counters are since the driver loaded, ratios 0..1."""

    index: int
    uuid: str
    part: Part
    energy_j: float
    power_w: float
    power_limit_w: float
    utilization: float
    memory_used_bytes: float
    memory_total_bytes: float
    sm_clock_hz: float
    temperature_celsius: float
    sm_active: float
    tensor_active: float
    dram_active: float
    nvlink_bytes: float
    pcie_transmit_bytes: float
    pcie_receive_bytes: float


def gpu_uuid(seed: str, host_id: str, index: int) -> str:
    """A UUID that is the same for every run of one seed."""
    digest = hashlib.sha256(f"{seed}:{host_id}:{index}".encode()).digest()
    return f"GPU-{uuid.UUID(bytes=digest[:16], version=4)}"


def boards(
    instance: Instance, tally: Tally, levels: Levels, uuids: tuple[str, ...]
) -> tuple[Board, ...]:
    """The GPUs of one instance; `uuids` are those of the whole node by index."""
    part, gpus = PARTS[instance.curve.gpu], len(instance.gpu_indices)
    limit_w = BOARD_POWER_W[instance.curve.gpu]
    total = float(GPU_MEMORY_BYTES[instance.curve.gpu])
    tokens = tally.scalars["input_tokens"] + tally.scalars["output_tokens"]
    dram, tensor = _activity(instance, levels.running)
    busy = levels.running > 0
    return tuple(
        Board(
            index=index,
            uuid=uuids[index],
            part=part,
            energy_j=tally.scalars["energy_j"],
            power_w=levels.power_w,
            power_limit_w=limit_w,
            utilization=1.0 if busy else 0.0,
            memory_used_bytes=total * instance.memory_utilization,
            memory_total_bytes=total,
            sm_clock_hz=part.sm_clock_hz if busy else _IDLE_CLOCK_HZ,
            temperature_celsius=28.0 + 42.0 * levels.power_w / limit_w,
            sm_active=min(max(dram, tensor) * 1.3, 0.98),
            tensor_active=tensor,
            dram_active=dram,
            nvlink_bytes=tokens * _link_bytes_per_token(instance),
            pcie_transmit_bytes=tokens * _PCIE_BYTES_PER_TOKEN / gpus,
            pcie_receive_bytes=tokens * _PCIE_BYTES_PER_TOKEN / gpus,
        )
        for index in instance.gpu_indices
    )


def _activity(instance: Instance, running: int) -> tuple[float, float]:
    """Memory and tensor activity: bytes and FLOP of a step over what its time allows."""
    if not running:
        return 0.0, 0.0
    part, served = PARTS[instance.curve.gpu], instance.served
    gpus, step_s = len(instance.gpu_indices), float(instance.token_time_s[running])
    read = served.weights_bytes * _experts_covered(instance, running)
    read += running * instance.lengths.held_mean * served.kv_bytes_per_token
    dram = read / (gpus * part.bandwidth_bytes_per_s * step_s)
    tokens_per_s = float(instance.tokens_per_s[running])
    tokens_per_s *= 1 + instance.lengths.input_mean / instance.lengths.output_mean
    tensor = 2 * served.active_parameters * tokens_per_s / (gpus * part.bf16_flops)
    return min(dram, 0.95), min(tensor, 0.95)


def _experts_covered(instance: Instance, running: int) -> float:
    """Share of the weights a step reads: all of a dense model, else the routed experts."""
    if instance.served.experts is None:
        return 1.0
    of, used = instance.served.experts
    return 1.0 - (1.0 - used / of) ** running


def _link_bytes_per_token(instance: Instance) -> float:
    """Bytes one GPU sends a token: two ring all-reduces of a BF16 vector a layer."""
    gpus = len(instance.gpu_indices)
    ring = 2 * (gpus - 1) / gpus
    return 2.0 * instance.served.layers * instance.served.hidden * 2 * ring
