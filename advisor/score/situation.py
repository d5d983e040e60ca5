"""An instance with all that scores and rules may know: what it is, what it did, what it owes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from advisor.assessment import CostLine, Measured
from advisor.catalog.gpus import GpuType
from advisor.catalog.models import Architecture, find_model
from advisor.catalog.precisions import BYTES
from advisor.performance.configuration import Configuration, Load, Observed
from advisor.score.health import Health
from advisor.score.measure import Rows, Workload
from advisor.score.objective import Objective
from advisor.summary import Deployment, Gpu, Instance

SATURATED_RATIO = 0.2
"""A queue for this share of the time: demand beyond what is served, not a burst."""


@dataclass(frozen=True)
class Situation:
    """One instance over one range. `unknown` names what keeps the model from reasoning about it."""

    instance: Instance
    deployment: Deployment | None
    gpu: GpuType | None
    architecture: Architecture | None
    configuration: Configuration | None
    unknown: tuple[str, ...]
    rows: Rows
    measured: Measured
    workload: Workload
    objective: Objective
    health: Health
    cost: CostLine | None
    usd_per_gpu_hour: float | None
    price_label: str | None
    drivers: tuple[str, ...]
    coverage: float | None

    @property
    def in_flight(self) -> float | None:
        """Requests running while busy, and those waiting where a queue lasted."""
        running = self.measured.running_mean_busy
        if running is None:
            return None
        saturated = self.measured.saturated_ratio
        if saturated is None or saturated < SATURATED_RATIO:
            return running
        return running + (self.workload.waiting_while_saturated or 0.0)

    @property
    def load(self) -> Load | None:
        """The load while it was busy; None where any part of it was not observed."""
        in_flight = self.in_flight
        inputs, outputs = self.measured.input_tokens_mean, self.measured.output_tokens_mean
        if in_flight is None or inputs is None or outputs is None or outputs <= 0:
            return None
        hits = self.workload.prefix_hit_ratio or 0.0
        return Load(max(in_flight, 1.0), inputs, outputs, prefix_hit_ratio=hits)

    @property
    def observed(self) -> Observed | None:
        """What it delivered at that load; None where tokens/s or TPOT were not observed.

        TPOT is the mean: a quantile is no finer than the engine's buckets.
        """
        measured, tpot_s = self.measured, self.workload.tpot_mean_s
        if not measured.busy_output_tokens_per_s or not tpot_s:
            return None
        return Observed(
            output_tokens_per_s=measured.busy_output_tokens_per_s,
            tpot_s=tpot_s,
            ttft_s=measured.ttft_p50_s,
            power_w=measured.busy_power_w or measured.power_w,
        )


def configuration_of(
    instance: Instance, gpu: GpuType | None, architecture: Architecture | None
) -> tuple[Configuration | None, tuple[str, ...]]:
    """The model's view of an instance, and what is missing where there is none."""
    needs = {
        "GPU type": gpu,
        "model architecture": architecture,
        "weight precision": instance.weights,
        "GPUs of the instance": instance.gpu_ids or None,
    }
    unknown = tuple(name for name, value in needs.items() if value is None)
    if unknown or gpu is None or architecture is None or instance.weights is None:
        return None, unknown
    weights = precision_word(instance.weights) or instance.weights
    kv = precision_word(instance.kv) or "bf16"
    data = instance.data_parallel or 1
    pipeline = instance.pipeline_parallel or 1
    tensor = instance.tensor_parallel or max(len(instance.gpu_ids) // (data * pipeline), 1)
    if unusable := _unusable(weights, kv, len(instance.gpu_ids), tensor * pipeline):
        return None, unusable
    configuration = Configuration(
        gpu=gpu,
        gpus=len(instance.gpu_ids),
        architecture=architecture,
        engine=engine_word(instance.engine),
        weights=weights,
        kv=kv,
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        data_parallel=data,
        expert_parallel=instance.expert_parallel or 1,
        max_sequences=instance.max_sequences,
        max_batched_tokens=instance.max_batched_tokens,
        memory_utilization=instance.memory_utilization or 0.9,
        engine_version=instance.engine_version,
    )
    return configuration, ()


def _unusable(weights: str, kv: str, gpus: int, replica_gpus: int) -> tuple[str, ...]:
    """What was said but cannot be reasoned with: GPUs that make no whole replicas are not all."""
    found = {
        f"weight precision {weights!r}": weights not in BYTES,
        f"KV precision {kv!r}": kv not in BYTES,
        f"the other GPUs of replicas of {replica_gpus} ({gpus} seen)": gpus % replica_gpus != 0,
    }
    return tuple(name for name, fails in found.items() if fails)


_ENGINES = {"tensorrt-llm": "trtllm", "tensorrt_llm": "trtllm", "trt-llm": "trtllm"}


def engine_word(name: str) -> str:
    """The catalog's name of an engine that an agent named."""
    return _ENGINES.get(name, name)


_WORDS = {"fp16": "bf16", "float16": "bf16", "bfloat16": "bf16", "auto": None}


def precision_word(word: str | None) -> str | None:
    """The glossary's word for a precision; None where the engine was left to choose."""
    if word is None:
        return None
    if word.startswith("fp8"):
        return "fp8"
    return _WORDS.get(word, word)


def gpu_type_of(instance: Instance, types: Mapping[str, GpuType | None]) -> GpuType | None:
    """The one part all GPUs of an instance are; None where unknown or mixed."""
    found = [types.get(gpu) for gpu in instance.gpu_ids]
    first = found[0] if found else None
    return first if all(kind == first for kind in found) else None


def architecture_of(instance: Instance) -> Architecture | None:
    """The architecture behind the model an instance serves."""
    return find_model(instance.model) if instance.model else None


def drivers_of(instance: Instance, gpus: Mapping[str, Gpu]) -> tuple[str, ...]:
    """Driver versions under an instance, in order."""
    found = {gpus[gpu].driver_version for gpu in instance.gpu_ids if gpu in gpus}
    return tuple(sorted(version for version in found if version))


def coverage_of(
    instance: Instance, observed_s: float, start: datetime, end: datetime
) -> float | None:
    """Seconds observed over the seconds since the instance was first seen in the range."""
    since = max(start, instance.first_seen) if instance.first_seen else start
    expected_s = (end - since).total_seconds()
    return min(observed_s / expected_s, 1.0) if expected_s > 0 else None
