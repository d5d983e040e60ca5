"""What serves and under which load: the inputs of the performance model."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.catalog.gpus import GpuType
from advisor.catalog.models import Architecture


@dataclass(frozen=True, slots=True)
class Configuration:
    """One instance's configuration. Precision words: bf16, fp8, nvfp4, mxfp4, int8, int4.

    `gpus` counts the whole instance; `max_sequences` is the batch limit of one data-parallel rank.
    """

    gpu: GpuType
    gpus: int
    architecture: Architecture
    engine: str
    weights: str
    kv: str = "bf16"
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    max_sequences: int | None = None
    max_batched_tokens: int | None = None
    memory_utilization: float = 0.9
    engine_version: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of an instance: requests in flight (all ranks), mean lengths in tokens."""

    concurrency: float
    input_tokens: float
    output_tokens: float
    prefix_hit_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What the instance was measured to do now: tokens/s of the whole, seconds, watts a GPU."""

    output_tokens_per_s: float
    tpot_s: float
    ttft_s: float | None = None
    power_w: float | None = None
