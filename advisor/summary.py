"""The hourly summaries that all reasoning takes: columns, units and what a fleet looks like to it.

The store fills these tables; scores, rules, pages and the mail read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RUNNING_BINS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Lower bounds of the load bins, as agent.vocabulary.RUNNING_BINS."""

HISTOGRAMS = (
    "ttft_s",
    "tpot_s",
    "inter_token_s",
    "duration_s",
    "queue_s",
    "input_tokens",
    "output_tokens",
)
"""Histograms of an instance hour, by short name."""

INSTANCE_COLUMNS: dict[str, str] = {
    "observed_s": "seconds the engine was observed",
    "output_tokens": "output tokens",
    "input_tokens": "billed prompt tokens",
    "input_cached_tokens": "prompt tokens from a prefix cache",
    "input_computed_tokens": "prompt tokens prefilled",
    "requests": "finished requests",
    "failed_requests": "requests finished by abort or error",
    "running_time_s": "request-seconds running",
    "waiting_time_s": "request-seconds waiting",
    "running_max": "most running requests",
    "waiting_max": "most waiting requests",
    "saturated_sequences_s": "seconds with a queue held by the sequence limit",
    "saturated_kv_cache_s": "seconds with a queue held by the KV cache",
    "saturated_unknown_s": "seconds with a queue held by something else",
    "kv_used_time_s": "integral of KV-cache use (ratio x seconds)",
    "kv_used_max": "highest KV-cache use, ratio",
    "kv_capacity_tokens": "KV-cache capacity in tokens",
    "preemptions": "preempted requests",
    "prefix_queries": "tokens looked up in the prefix cache",
    "prefix_hits": "tokens found there",
    "gpu_energy_j": "joules of the instance's GPUs, all of them over the hour",
    "gpu_observed_s": "GPU-seconds with power observed, summed over the instance's GPUs",
    "gpu_count": "GPUs of the instance",
}
"""Float columns of an instance hour. NaN is absence, never zero."""

GPU_COLUMNS: dict[str, str] = {
    "power_observed_s": "seconds with power or energy observed",
    "energy_j": "joules",
    "power_max_w": "highest power sample",
    "power_limit_w": "enforced power limit",
    "utilization": "mean share of time a kernel ran, ratio",
    "memory_used_bytes": "used framebuffer",
    "memory_limit_bytes": "total framebuffer",
    "activity_observed_s": "seconds with activity observed",
    "sm_active_s": "integral of SM activity",
    "tensor_active_s": "integral of tensor activity",
    "dram_active_s": "integral of memory activity",
    "engine_active_s": "integral of graphics/compute engine activity",
    "throttle_power_s": "seconds held back by the power cap",
    "throttle_thermal_s": "seconds held back by heat",
    "throttle_other_s": "seconds held back by anything else",
    "nvlink_transmit_bytes": "NVLink bytes sent",
    "nvlink_receive_bytes": "NVLink bytes received",
    "nvlink_errors": "NVLink errors of all kinds",
    "pcie_transmit_bytes": "PCIe bytes sent",
    "pcie_receive_bytes": "PCIe bytes received",
    "temperature_celsius": "mean temperature",
    "clock_sm_hz": "mean SM clock",
    "ecc_corrected": "corrected ECC errors",
    "ecc_uncorrected": "uncorrected ECC errors",
    "xid_errors": "XID events",
    "row_remaps_failed": "failed row remaps",
    "row_remaps_pending": "pending row remaps",
}
"""Float columns of a GPU hour. NaN is absence, never zero."""


@dataclass(frozen=True)
class HourHistogram:
    """Counts of one hour by bucket, not cumulative; the last upper bound is infinite."""

    bounds: Floats
    counts: Floats
    sum: float


@dataclass(frozen=True)
class InstanceHours:
    """One row an instance, configuration digest and hour; all arrays have the same length n.

    `columns` has every name of INSTANCE_COLUMNS, shape (n,). `load_*` have shape
    (n, len(RUNNING_BINS)): seconds, output tokens and GPU joules in each bin of running requests.
    """

    host_id: NDArray[np.str_]
    instance_id: NDArray[np.str_]
    config_digest: NDArray[np.str_]
    hour: NDArray[np.datetime64]
    columns: Mapping[str, Floats]
    load_time_s: Floats
    load_output_tokens: Floats
    load_energy_j: Floats
    histograms: Mapping[str, list[HourHistogram | None]]


@dataclass(frozen=True)
class GpuHours:
    """One row a GPU and hour; `columns` has every name of GPU_COLUMNS, shape (n,)."""

    host_id: NDArray[np.str_]
    gpu_id: NDArray[np.str_]
    hour: NDArray[np.datetime64]
    columns: Mapping[str, Floats]


@dataclass(frozen=True)
class Gpu:
    """A physical GPU as last described. `product` is NVML's name; memory in bytes, absent None."""

    id: str
    host_id: str
    product: str
    driver_version: str | None = None
    compute_capability: str | None = None
    memory_bytes: float | None = None
    fabric_cluster: str | None = None
    fabric_clique: str | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True)
class Instance:
    """A serving process group with its live configuration as last described; None is absent."""

    id: str
    host_id: str
    engine: str
    gpu_ids: tuple[str, ...]
    config_digest: str
    engine_version: str | None = None
    model: str | None = None
    weights: str | None = None
    kv: str | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    data_parallel: int | None = None
    expert_parallel: int | None = None
    max_sequences: int | None = None
    max_batched_tokens: int | None = None
    max_model_length: int | None = None
    memory_utilization: float | None = None
    features: tuple[str, ...] = ()
    role: str = "unified"
    tiers: Mapping[str, str] = field(default_factory=dict)
    first_seen: datetime | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True)
class Node:
    """A host as last described; `agent_*` is its agent's own conservation count in batches."""

    id: str
    name: str
    last_seen: datetime | None = None
    agent_version: str | None = None
    batches_produced: float = 0.0
    batches_acknowledged: float = 0.0
    batches_dropped: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """Instances that serve one model for one purpose, with what their owner promises and earns."""

    name: str
    instance_ids: tuple[str, ...]
    model: str | None
    profile: str = "balanced"
    ttft_p95_s: float | None = None
    tpot_p95_s: float | None = None
    team: str | None = None
    usd_per_million_output_tokens_sold: float | None = None
    declared: bool = False


@dataclass(frozen=True)
class Fleet:
    """All that reasoning may know between two times: what exists and what it did by the hour."""

    start: datetime
    end: datetime
    nodes: tuple[Node, ...]
    gpus: tuple[Gpu, ...]
    instances: tuple[Instance, ...]
    deployments: tuple[Deployment, ...]
    instance_hours: InstanceHours
    gpu_hours: GpuHours
