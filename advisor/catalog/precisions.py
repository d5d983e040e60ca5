"""Precision words: the bytes they take and which of them a GPU and an engine serve."""

from __future__ import annotations

from collections.abc import Mapping

from advisor.catalog.engines import weights_served
from advisor.catalog.gpus import GpuType, capability
from advisor.catalog.models import Architecture

BYTES: Mapping[str, float] = {
    "bf16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "nvfp4": 0.5 + 1 / 16,
    "mxfp4": 0.5 + 1 / 32,
    "int4": 0.5 + 2 / 128,
}
"""Bytes a value, block scales included: one a 16 (NVFP4) or 32 (MXFP4) values, two a 128 (INT4)."""

_NEEDS_CAPABILITY: Mapping[str, tuple[int, int]] = {
    "bf16": (7, 5),
    "int8": (7, 5),
    "int4": (7, 5),
    "mxfp4": (8, 0),
    "fp8": (8, 9),
    "nvfp4": (10, 0),
}
"""Lowest compute capability by weights: vLLM's table, tensor cores for FP8 and NVFP4."""

_COMPUTE: Mapping[str, str] = {"int4": "bf16"}
"""Weight-only formats are multiplied in another precision."""


def supported_weights(gpu: GpuType, architecture: Architecture, engine: str) -> tuple[str, ...]:
    """Weight precisions that a published checkpoint, this GPU and this engine have in common."""
    served = weights_served(engine)
    return tuple(
        word
        for word in architecture.precisions
        if word in served and capability(gpu) >= _NEEDS_CAPABILITY[word]
    )


def supported_kv(gpu: GpuType, engine: str) -> tuple[str, ...]:
    """KV-cache precisions: FP8 wherever FP8 tensor cores are, for each engine we know flags of."""
    words = ("bf16", "fp8") if capability(gpu) >= _NEEDS_CAPABILITY["fp8"] else ("bf16",)
    return words if weights_served(engine) else ("bf16",)


def attention_precision(architecture: Architecture, weights: str) -> str:
    """Precision of attention weights: 4-bit mixture checkpoints quantize only the experts."""
    if architecture.experts and weights in ("nvfp4", "mxfp4", "int4"):
        return "bf16"
    return weights


def flops_per_s(gpu: GpuType, word: str) -> float:
    """Dense peak for weights of this precision; without such tensor cores that of 16 bits."""
    computed = _COMPUTE.get(word, word)
    return gpu.flops.get(computed, gpu.flops["bf16"])
