"""GPU types: memory, bandwidth, tensor rates, links and power, each with its source."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

PCIE_BYTES_PER_S = {3: 16e9, 4: 32e9, 5: 64e9, 6: 128e9}
"""One direction of sixteen lanes, by generation."""


@dataclass(frozen=True, slots=True)
class GpuType:
    """A GPU part. Bytes, bytes/s, FLOP/s dense by precision word, watts.

    `nvlink_bytes_per_s` is one direction; `nvlink_domain` counts the GPUs that reach one another
    over NVLink, 1 where there is none.
    """

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
    aliases: tuple[str, ...] = ()


def kind(gpu: GpuType) -> str:
    """The short word of a part without its form: h100, h200, b200, gb200, a100, l40s."""
    return gpu.id.partition("-")[0]


def capability(gpu: GpuType) -> tuple[int, int]:
    """Compute capability as numbers that compare."""
    major, minor = gpu.compute_capability.split(".")
    return int(major), int(minor)


def _flops(rates: Mapping[str, float]) -> dict[str, float]:
    """FLOP/s by precision word: one FP4 rate for NVFP4 and MXFP4, one for both 16-bit formats."""
    flops = {word: rate * 1e12 for word, rate in rates.items() if word not in ("fp4", "fp16")}
    if "fp4" in rates:
        flops["nvfp4"] = flops["mxfp4"] = rates["fp4"] * 1e12
    if "fp16" in rates:
        flops["bf16"] = rates["fp16"] * 1e12
    return flops


def _part(part_id: str, row: Mapping[str, Any]) -> GpuType:
    nvlink = row.get("nvlink_gb_s")
    return GpuType(
        id=part_id,
        product_names=tuple(row["names"]),
        generation=row["generation"],
        compute_capability=row["compute_capability"],
        memory_bytes=row["memory_mib"] * 2.0**20,
        bandwidth_bytes_per_s=row["bandwidth_tb_s"] * 1e12,
        flops=_flops(row["tflops"]),
        nvlink_bytes_per_s=nvlink * 1e9 if nvlink else None,
        pcie_bytes_per_s=PCIE_BYTES_PER_S[row["pcie_generation"]],
        nvlink_domain=row["nvlink_domain"],
        tdp_w=float(row["tdp_w"]),
        source=row["source"],
        aliases=tuple(row["aliases"]),
    )


def _load() -> dict[str, GpuType]:
    text = files("advisor.catalog").joinpath("data/gpus.toml").read_text(encoding="utf-8")
    return {part_id: _part(part_id, row) for part_id, row in tomllib.loads(text).items()}


GPUS: Mapping[str, GpuType] = _load()
"""Every part known, by id."""


def _key(name: str) -> str:
    """A name without its maker, case, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\bnvidia\b", "", name.lower()))


@cache
def _by_name() -> Mapping[str, GpuType]:
    names = {}
    for gpu in GPUS.values():
        for name in (gpu.id, *gpu.product_names, *gpu.aliases):
            names[_key(name)] = gpu
    return names


def find_gpu(name: str) -> GpuType | None:
    """The part that NVML, a price list or a person calls `name`; None for an unknown one."""
    return _by_name().get(_key(name))
