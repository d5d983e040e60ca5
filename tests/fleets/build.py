"""Synthetic fleets for tests: instances that did the same every busy hour, with figures we choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from advisor.summary import (
    GPU_COLUMNS,
    HISTOGRAMS,
    INSTANCE_COLUMNS,
    RUNNING_BINS,
    Deployment,
    Fleet,
    Gpu,
    GpuHours,
    HourHistogram,
    Instance,
    InstanceHours,
    Node,
)

START = datetime(2026, 11, 2, tzinfo=UTC)
WEEK_HOURS = 168
PRODUCTS = {
    "h100": ("NVIDIA H100 80GB HBM3", 85520809984.0, "9.0", 700.0),
    "h200": ("NVIDIA H200", 150754820096.0, "9.0", 700.0),
    "b200": ("NVIDIA B200", 192265846784.0, "10.0", 1000.0),
}
BOUNDS = np.array(
    [0.001 * 1.5**step for step in range(32)] + [np.inf]
)  # 1 ms to 5 minutes, then open
LENGTHS = np.array([2.0**step for step in range(1, 20)] + [np.inf])


@dataclass(frozen=True)
class Serving:
    """One instance and what it does in each busy hour. Whole-instance tokens/s, watts a GPU."""

    id: str
    host: str
    gpus: int = 1
    product: str = "b200"
    engine: str = "vllm"
    engine_version: str = "0.33.0"
    model: str = "openai/gpt-oss-120b"
    weights: str = "mxfp4"
    kv: str = "bf16"
    tensor: int = 1
    max_sequences: int = 256
    max_batched_tokens: int = 8192
    memory_utilization: float = 0.9
    tokens_per_s: float = 1000.0
    running: float = 16.0
    waiting: float = 0.0
    tpot_s: float = 0.010
    ttft_s: float = 0.2
    spread: float = 0.15
    power_w: float = 600.0
    idle_power_w: float = 150.0
    busy_hours: tuple[int, ...] | None = None
    kv_used: float = 0.3
    input_tokens: float = 500.0
    output_tokens: float = 1000.0
    saturated: float = 0.0
    driver: str = "620.70.06"
    columns: Mapping[str, float] = field(default_factory=dict)
    gpu_columns: Mapping[str, float] = field(default_factory=dict)


@cache
def _lognormal_shares(median: float, spread: float, bounds: tuple[float, ...]) -> np.ndarray:
    from scipy.stats import norm

    below = norm.cdf(np.log(np.array(bounds[:-1]) / median) / max(spread, 1e-6))
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def lognormal_histogram(
    median: float, spread: float, count: float, bounds: np.ndarray = BOUNDS
) -> HourHistogram:
    """Counts of a lognormal with this median and sigma of the logarithm."""
    counts = _lognormal_shares(median, spread, tuple(bounds.tolist())) * count
    return HourHistogram(bounds, counts, median * float(np.exp(spread**2 / 2)) * count)


def _gpu_ids(serving: Serving, first: int) -> tuple[str, ...]:
    return tuple(f"GPU-{serving.host}-{first + i}" for i in range(serving.gpus))


def _is_busy(serving: Serving, hour: int) -> bool:
    return serving.busy_hours is None or hour % WEEK_HOURS in serving.busy_hours


def _hour_columns(serving: Serving, *, busy: bool) -> dict[str, float]:
    tokens = serving.tokens_per_s * 3600.0 if busy else 0.0
    requests = tokens / serving.output_tokens
    power = serving.power_w if busy else serving.idle_power_w
    columns = dict.fromkeys(INSTANCE_COLUMNS, np.nan) | {
        "observed_s": 3600.0,
        "output_tokens": tokens,
        "input_tokens": requests * serving.input_tokens,
        "input_cached_tokens": 0.0,
        "input_computed_tokens": requests * serving.input_tokens,
        "requests": requests,
        "failed_requests": 0.0,
        "running_time_s": serving.running * 3600.0 if busy else 0.0,
        "waiting_time_s": serving.waiting * 3600.0 if busy else 0.0,
        "running_max": serving.running * 1.2 if busy else 0.0,
        "waiting_max": serving.waiting * 1.5 if busy else 0.0,
        "saturated_sequences_s": serving.saturated * 3600.0 if busy else 0.0,
        "saturated_kv_cache_s": 0.0,
        "saturated_unknown_s": 0.0,
        "kv_used_time_s": serving.kv_used * 3600.0 if busy else 0.0,
        "kv_used_max": serving.kv_used * 1.2 if busy else 0.0,
        "preemptions": 0.0,
        "gpu_energy_j": power * serving.gpus * 3600.0,
        "gpu_observed_s": 3600.0 * serving.gpus,
        "gpu_count": float(serving.gpus),
    }
    return columns | dict(serving.columns)


def _hour_histograms(serving: Serving, *, busy: bool) -> dict[str, HourHistogram | None]:
    if not busy:
        return dict.fromkeys(HISTOGRAMS)
    requests = serving.tokens_per_s * 3600.0 / serving.output_tokens
    return dict.fromkeys(HISTOGRAMS) | {
        "ttft_s": lognormal_histogram(serving.ttft_s, 0.4, requests),
        "tpot_s": lognormal_histogram(serving.tpot_s, serving.spread, requests),
        "input_tokens": lognormal_histogram(serving.input_tokens, 0.01, requests, LENGTHS),
        "output_tokens": lognormal_histogram(serving.output_tokens, 0.01, requests, LENGTHS),
    }


def _loads(serving: Serving, *, busy: bool) -> np.ndarray:
    """Seconds, tokens and joules by bin, shape (3, bins)."""
    level = serving.running if busy else 0.0
    at = max(i for i, low in enumerate(RUNNING_BINS) if low <= level or i == 0)
    table = np.zeros((3, len(RUNNING_BINS)))
    power = serving.power_w if busy else serving.idle_power_w
    tokens = serving.tokens_per_s * 3600.0 if busy else 0.0
    table[:, at] = (3600.0, tokens, power * serving.gpus * 3600.0)
    return table


def _gpu_hour(serving: Serving, *, busy: bool) -> dict[str, float]:
    _, memory, _, limit = PRODUCTS[serving.product]
    power = serving.power_w if busy else serving.idle_power_w
    active = 1.0 if busy else 0.0
    columns = dict.fromkeys(GPU_COLUMNS, np.nan) | {
        "power_observed_s": 3600.0,
        "energy_j": power * 3600.0,
        "power_max_w": power * 1.1,
        "power_limit_w": limit,
        "utilization": 0.95 * active,
        "memory_used_bytes": memory * 0.88,
        "memory_limit_bytes": memory,
        "activity_observed_s": 3600.0,
        "sm_active_s": 3600.0 * 0.6 * active,
        "tensor_active_s": 3600.0 * 0.25 * active,
        "dram_active_s": 3600.0 * 0.55 * active,
        "engine_active_s": 3600.0 * 0.95 * active,
        "throttle_power_s": 0.0,
        "throttle_thermal_s": 0.0,
        "throttle_other_s": 0.0,
        "nvlink_errors": 0.0,
        "temperature_celsius": 55.0,
        "ecc_corrected": 0.0,
        "ecc_uncorrected": 0.0,
        "xid_errors": 0.0,
        "row_remaps_failed": 0.0,
        "row_remaps_pending": 0.0,
    }
    return columns | dict(serving.gpu_columns)


def _instance(
    serving: Serving, gpu_ids: tuple[str, ...], start: datetime, end: datetime
) -> Instance:
    return Instance(
        id=serving.id,
        host_id=serving.host,
        engine=serving.engine,
        gpu_ids=gpu_ids,
        config_digest=f"digest-{serving.id}",
        engine_version=serving.engine_version,
        model=serving.model,
        weights=serving.weights,
        kv=serving.kv,
        tensor_parallel=serving.tensor,
        pipeline_parallel=1,
        data_parallel=1,
        expert_parallel=1,
        max_sequences=serving.max_sequences,
        max_batched_tokens=serving.max_batched_tokens,
        max_model_length=32768,
        memory_utilization=serving.memory_utilization,
        tiers={"model": "endpoint", "weights": "configured"},
        first_seen=start,
        last_seen=end,
    )


def _gpus(serving: Serving, ids: tuple[str, ...], end: datetime) -> list[Gpu]:
    name, memory, capability, _ = PRODUCTS[serving.product]
    return [
        Gpu(gpu, serving.host, name, serving.driver, capability, memory, last_seen=end)
        for gpu in ids
    ]


def build(
    servings: Sequence[Serving],
    *,
    hours: int = WEEK_HOURS,
    start: datetime = START,
    deployments: Sequence[Deployment] = (),
) -> Fleet:
    """A fleet in which every serving ran for `hours` hours from `start`, its GPUs numbered a host."""
    end = start + timedelta(hours=hours)
    placed: dict[str, int] = {}
    instances, gpus = [], []
    for serving in servings:
        first = placed.get(serving.host, 0)
        placed[serving.host] = first + serving.gpus
        ids = _gpu_ids(serving, first)
        instances.append(_instance(serving, ids, start, end))
        gpus += _gpus(serving, ids, end)
    nodes = tuple(
        Node(host, host, end, "0.1.0", 100.0, 100.0, 0.0) for host in dict.fromkeys(placed)
    )
    return Fleet(
        start=start,
        end=end,
        nodes=nodes,
        gpus=tuple(gpus),
        instances=tuple(instances),
        deployments=tuple(deployments) or _by_model(instances),
        instance_hours=_instance_hours(servings, instances, hours, start),
        gpu_hours=_gpu_hours(servings, instances, hours, start),
    )


def _by_model(instances: Sequence[Instance]) -> tuple[Deployment, ...]:
    models = dict.fromkeys(i.model for i in instances)
    return tuple(
        Deployment(str(model), tuple(i.id for i in instances if i.model == model), model)
        for model in models
    )


def _clock(start: datetime, hours: int) -> np.ndarray:
    first = np.datetime64(start.replace(tzinfo=None), "h")
    return first + np.arange(hours)


def _instance_hours(
    servings: Sequence[Serving], instances: Sequence[Instance], hours: int, start: datetime
) -> InstanceHours:
    offset = int(start.weekday()) * 24 + start.hour
    rows = [
        (instance, serving, _is_busy(serving, offset + hour))
        for instance, serving in zip(instances, servings, strict=True)
        for hour in range(hours)
    ]
    columns = [_hour_columns(serving, busy=busy) for _, serving, busy in rows]
    histograms = [_hour_histograms(serving, busy=busy) for _, serving, busy in rows]
    loads = np.array([_loads(serving, busy=busy) for _, serving, busy in rows])
    return InstanceHours(
        host_id=np.array([i.host_id for i, _, _ in rows]),
        instance_id=np.array([i.id for i, _, _ in rows]),
        config_digest=np.array([i.config_digest for i, _, _ in rows]),
        hour=np.tile(_clock(start, hours), len(servings)),
        columns={name: np.array([c[name] for c in columns]) for name in INSTANCE_COLUMNS},
        load_time_s=loads[:, 0],
        load_output_tokens=loads[:, 1],
        load_energy_j=loads[:, 2],
        histograms={name: [h[name] for h in histograms] for name in HISTOGRAMS},
    )


def _gpu_hours(
    servings: Sequence[Serving], instances: Sequence[Instance], hours: int, start: datetime
) -> GpuHours:
    offset = int(start.weekday()) * 24 + start.hour
    rows = [
        (instance, gpu, serving, _is_busy(serving, offset + hour))
        for instance, serving in zip(instances, servings, strict=True)
        for gpu in instance.gpu_ids
        for hour in range(hours)
    ]
    columns = [_gpu_hour(serving, busy=busy) for _, _, serving, busy in rows]
    return GpuHours(
        host_id=np.array([i.host_id for i, _, _, _ in rows]),
        gpu_id=np.array([gpu for _, gpu, _, _ in rows]),
        hour=np.tile(_clock(start, hours), sum(s.gpus for s in servings)),
        columns={name: np.array([c[name] for c in columns]) for name in GPU_COLUMNS},
    )


def without(fleet: Fleet, *, instance: Sequence[str] = (), gpu: Sequence[str] = ()) -> Fleet:
    """The same fleet with some columns never observed."""
    hours, gpus = fleet.instance_hours, fleet.gpu_hours
    blank = {name: np.full_like(hours.columns[name], np.nan) for name in instance}
    gpu_blank = {name: np.full_like(gpus.columns[name], np.nan) for name in gpu}
    return replace(
        fleet,
        instance_hours=replace(hours, columns={**hours.columns, **blank}),
        gpu_hours=replace(gpus, columns={**gpus.columns, **gpu_blank}),
    )
