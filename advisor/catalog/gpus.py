"""GPU types: memory, bandwidth, tensor rates, links and power, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GpuType:
    """A GPU part: bytes, bytes/s, dense FLOP/s by precision, watts; NVLink in one direction."""

    id: str
    product_names: tuple[str, ...]
    generation: str
    compute_capability: str
    memory_bytes: float
    bandwidth_bytes_per_s: float
    flops: Mapping[str, float]
    nvlink_bytes_per_s: float | None
    pcie_bytes_per_s: float
    nvlink_domain: int
    tdp_w: float
    source: str
