"""A synthetic assessment, store and state for the tests of REST, pages and mail: five nodes in a week."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np

from advisor.advise.recommendation import Considered, EffectRow, FlagChange, Recommendation
from advisor.api.app import create_app
from advisor.api.contract import Access, Backing, Life, ReportAddress, ScoreMoment
from advisor.assessment import (
    Assessment,
    CostLine,
    CurvePoint,
    Measured,
    NotFired,
    ResponseCurve,
)
from advisor.performance.effect import Evidence, Interval
from advisor.score.result import DIMENSIONS, Diagnosis, Indicator, Score, Scorecard
from advisor.store.windows import Fragment, Series
from advisor.summary import (
    GPU_COLUMNS,
    HISTOGRAMS,
    INSTANCE_COLUMNS,
    RUNNING_BINS,
    Deployment,
    Fleet,
    Gpu,
    GpuHours,
    Instance,
    InstanceHours,
    Node,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOURS = 168


@dataclass(frozen=True)
class Spec:
    """One synthetic node: what serves there and how well."""

    node: str
    product: str
    engine: str
    model: str
    weights: str
    per_instance: int
    tokens_per_s: float
    watts: float
    running: float
    usd_per_gpu_hour: float
    scores: tuple[tuple[float, float], ...]
    word: str


SPECS = (
    Spec("h100-a", "NVIDIA H100 80GB HBM3", "vllm", "meta-llama/Llama-3.3-70B-Instruct", "bf16", 4, 1180.0, 545.0, 31.0, 2.99, ((38, 44), (52, 60), (45, 57), (41, 41), (78, 84)), "queue"),
    Spec("b200-r1", "NVIDIA B200", "trtllm", "deepseek-ai/DeepSeek-R1", "fp8", 8, 6350.0, 812.0, 210.0, 5.29, ((74, 80), (66, 71), (49, 62), (55, 55), (80, 88)), "memory_bandwidth"),
    Spec("b200-oss", "NVIDIA B200", "vllm", "openai/gpt-oss-120b", "mxfp4", 2, 2240.0, 402.0, 22.0, 5.29, ((62, 66), (58, 66), (47, 55), (39, 39), (83, 90)), "interconnect"),
    Spec("h100-idle", "NVIDIA H100 80GB HBM3", "sglang", "Qwen/Qwen3-32B", "bf16", 2, 38.0, 131.0, 0.4, 2.99, ((12, 18), (55, 75), (60, 74), (6, 6), (71, 80)), "idle"),
    Spec("b200-good", "NVIDIA B200", "vllm", "openai/gpt-oss-120b", "mxfp4", 1, 4980.0, 655.0, 118.0, 5.29, ((91, 95), (88, 93), (86, 92), (90, 90), (85, 92)), "memory_bandwidth"),
)  # fmt: skip


def interval(
    low: float, expected: float, high: float, evidence: Evidence = Evidence.INTERPOLATED
) -> Interval:
    return Interval(low, expected, high, evidence)


def gpu_ids(spec: Spec) -> tuple[str, ...]:
    return tuple(f"GPU-{spec.node}-{i}" for i in range(8))


def instances_of(spec: Spec) -> list[Instance]:
    ids = gpu_ids(spec)
    return [
        Instance(
            id=f"{spec.node}:{8000 + i}",
            host_id=spec.node,
            engine=spec.engine,
            gpu_ids=ids[i * spec.per_instance : (i + 1) * spec.per_instance],
            config_digest=f"{abs(hash_text(spec.node)):08x}",
            engine_version="0.11.0" if spec.engine == "vllm" else "1.1.0",
            model=spec.model,
            weights=spec.weights,
            kv="bf16",
            tensor_parallel=spec.per_instance,
            pipeline_parallel=1,
            data_parallel=1,
            max_sequences=32 if spec.node == "h100-a" else 256,
            max_batched_tokens=8192,
            max_model_length=32768,
            memory_utilization=0.9,
            features=("prefix_caching", "chunked_prefill"),
            tiers={"model": "endpoint", "weights": "argv", "max_sequences": "argv"},
            first_seen=NOW - timedelta(days=14),
            last_seen=NOW,
        )
        for i in range(8 // spec.per_instance)
    ]


def hash_text(text: str) -> int:
    return sum((i + 1) * ord(letter) for i, letter in enumerate(text)) * 2654435761 % 2**32


def day_shape(hour: np.ndarray) -> np.ndarray:
    """Demand over a week: nights low, weekends lower."""
    local = hour.astype("datetime64[h]").astype(int)
    daily = 0.72 + 0.28 * np.sin((local % 24 - 9) / 24 * 2 * np.pi)
    weekend = np.where((local // 24 + 4) % 7 >= 5, 0.72, 1.0)
    return daily * weekend


def instance_hours(start: datetime, hours: int) -> InstanceHours:
    times = np.datetime64(start.replace(tzinfo=None), "s") + np.arange(hours) * np.timedelta64(
        3600, "s"
    )
    shape = day_shape(times)
    rows: list[tuple[Spec, Instance]] = [(s, i) for s in SPECS for i in instances_of(s)]
    n = len(rows) * hours
    columns = {name: np.full(n, np.nan) for name in INSTANCE_COLUMNS}
    load = {key: np.zeros((n, len(RUNNING_BINS))) for key in ("time", "tokens", "energy")}
    for r, (spec, _) in enumerate(rows):
        at = slice(r * hours, (r + 1) * hours)
        tokens = spec.tokens_per_s * shape * 3600
        energy = (spec.watts * (0.75 + 0.25 * shape)) * spec.per_instance * 3600
        columns["observed_s"][at] = 3600.0
        columns["output_tokens"][at] = tokens
        columns["input_tokens"][at] = tokens * 4.1
        columns["requests"][at] = tokens / 240
        columns["running_time_s"][at] = spec.running * shape * 3600
        columns["waiting_time_s"][at] = (9.0 if spec.word == "queue" else 0.0) * 3600
        columns["kv_used_time_s"][at] = 0.41 * 3600
        columns["gpu_energy_j"][at] = energy
        columns["gpu_observed_s"][at] = 3600.0 * spec.per_instance
        columns["gpu_count"][at] = spec.per_instance
        bins = (
            np.searchsorted(RUNNING_BINS, np.maximum(spec.running * shape, 0.0), side="right") - 1
        )
        index = np.arange(at.start, at.stop)
        load["time"][index, bins] = 3600.0
        load["tokens"][index, bins] = tokens
        load["energy"][index, bins] = energy
    return InstanceHours(
        host_id=np.repeat([i.host_id for _, i in rows], hours),
        instance_id=np.repeat([i.id for _, i in rows], hours),
        config_digest=np.repeat([i.config_digest for _, i in rows], hours),
        hour=np.tile(times, len(rows)),
        columns=columns,
        load_time_s=load["time"],
        load_output_tokens=load["tokens"],
        load_energy_j=load["energy"],
        histograms={name: [None] * n for name in HISTOGRAMS},
    )


def gpu_hours(start: datetime, hours: int) -> GpuHours:
    times = np.datetime64(start.replace(tzinfo=None), "s") + np.arange(hours) * np.timedelta64(
        3600, "s"
    )
    shape = day_shape(times)
    rows = [(s, i, g) for s in SPECS for i, g in enumerate(gpu_ids(s))]
    columns = {name: np.full(len(rows) * hours, np.nan) for name in GPU_COLUMNS}
    for r, (spec, index, _) in enumerate(rows):
        at = slice(r * hours, (r + 1) * hours)
        skew = 0.86 if (spec.node, index) == ("b200-r1", 5) else 1.0 + 0.004 * index
        columns["power_observed_s"][at] = 3600.0
        columns["energy_j"][at] = spec.watts * (0.75 + 0.25 * shape) * 3600 * skew
        columns["activity_observed_s"][at] = 3600.0
        columns["sm_active_s"][at] = 3600 * min(0.9, spec.watts / 900) * shape * skew
        columns["tensor_active_s"][at] = 3600 * min(0.6, spec.watts / 1600) * shape * skew
        columns["dram_active_s"][at] = 3600 * min(0.8, spec.watts / 1000) * shape
        columns["throttle_power_s"][at] = 0.0
        columns["throttle_thermal_s"][at] = 260.0 if (spec.node, index) == ("b200-r1", 5) else 0.0
        columns["throttle_other_s"][at] = 0.0
        columns["nvlink_transmit_bytes"][at] = 3600 * 14e9 * shape if spec.per_instance > 1 else 0.0
        columns["nvlink_receive_bytes"][at] = 3600 * 14e9 * shape if spec.per_instance > 1 else 0.0
        columns["temperature_celsius"][at] = 38 + spec.watts / 28 + index * 0.6
        columns["clock_sm_hz"][at] = 1.755e9 * skew
        columns["memory_used_bytes"][at] = 0.88 * 80e9
        columns["memory_limit_bytes"][at] = 80e9
    return GpuHours(
        host_id=np.repeat([s.node for s, _, _ in rows], hours),
        gpu_id=np.repeat([g for _, _, g in rows], hours),
        hour=np.tile(times, len(rows)),
        columns=columns,
    )


def fleet() -> Fleet:
    start = NOW - timedelta(hours=HOURS)
    return Fleet(
        start=start,
        end=NOW,
        nodes=tuple(
            Node(
                s.node,
                s.node,
                NOW - timedelta(seconds=70),
                "0.1.0",
                20160.0,
                20160.0,
                0.0,
                {"site": "ams1"},
            )
            for s in SPECS
        ),
        gpus=tuple(
            Gpu(
                g,
                s.node,
                s.product,
                "580.95.05",
                "9.0" if "H100" in s.product else "10.0",
                80e9,
                last_seen=NOW,
            )
            for s in SPECS
            for g in gpu_ids(s)
        ),
        instances=tuple(i for s in SPECS for i in instances_of(s)),
        deployments=tuple(
            Deployment(
                name=f"{s.model.split('/')[-1].lower()}-{s.node}",
                instance_ids=tuple(i.id for i in instances_of(s)),
                model=s.model,
                ttft_p95_s=2.0,
                tpot_p95_s=0.05,
                team="search" if s.product.endswith("HBM3") else "assistants",
                declared=True,
            )
            for s in SPECS
        ),
        instance_hours=instance_hours(start, HOURS),
        gpu_hours=gpu_hours(start, HOURS),
    )


def cost_line(kind: str, target: str, specs: Sequence[tuple[Spec, float]]) -> CostLine:
    """The cost of GPUs: (spec, GPUs of it) pairs."""
    gpu_h = sum(gpus * HOURS for _, gpus in specs)
    allocated = gpu_h
    active_h = [gpus * HOURS * min(1.0, s.running / 4) for s, gpus in specs]
    effective_h = [gpus * HOURS * s.scores[3][0] / 100 for s, gpus in specs]
    price = [s.usd_per_gpu_hour for s, _ in specs]
    usd = sum(gpus * HOURS * s.usd_per_gpu_hour for s, gpus in specs)
    active_usd, effective_usd = (
        sum(h * p for h, p in zip(hours, price, strict=True)) for hours in (active_h, effective_h)
    )
    joules = sum(gpus * HOURS * 3600 * s.watts * 0.93 for s, gpus in specs)
    tokens = sum(gpus / s.per_instance * HOURS * 3600 * s.tokens_per_s * 0.66 for s, gpus in specs)
    return CostLine(
        kind=kind, id=target, gpu_hours=gpu_h, allocated_gpu_hours=allocated, active_gpu_hours=sum(active_h),
        effective_gpu_hours=sum(effective_h), cost_usd=usd, idle_cost_usd=usd - active_usd, energy_j=joules,
        output_tokens=tokens, input_tokens=tokens * 4.1, usd_per_million_output_tokens=usd / tokens * 1e6,
        joules_per_output_token_gpu=joules / tokens, mean_power_w=joules / (HOURS * 3600),
        price_sources=("h100-sxm synthetic 2026-11-01", "b200 synthetic 2026-11-01"),
        allocated_cost_usd=usd, active_cost_usd=active_usd, effective_cost_usd=effective_usd,
    )  # fmt: skip


def costs() -> tuple[CostLine, ...]:
    lines = [cost_line("fleet", "fleet", [(s, 8.0) for s in SPECS])]
    for s in SPECS:
        lines.append(cost_line("node", s.node, [(s, 8.0)]))
        lines.append(
            cost_line("deployment", f"{s.model.split('/')[-1].lower()}-{s.node}", [(s, 8.0)])
        )
        lines += [
            cost_line("instance", i.id, [(s, float(s.per_instance))]) for i in instances_of(s)
        ]
    for team, kept in (("search", "HBM3"), ("assistants", "B200")):
        lines.append(cost_line("team", team, [(s, 8.0) for s in SPECS if s.product.endswith(kept)]))
    return tuple(lines)


def measured(spec: Spec, instance: Instance) -> Measured:
    tokens = spec.tokens_per_s * 0.66
    joules = spec.watts * 0.93 * spec.per_instance / tokens
    return Measured(
        instance_id=instance.id, observed_s=HOURS * 3600.0, output_tokens_per_s=tokens, busy_output_tokens_per_s=tokens * 1.1,
        running_mean=spec.running * 0.7, running_mean_busy=spec.running * 0.8,
        waiting_mean=9.0 if spec.word == "queue" else 0.0, busy_ratio=min(1.0, spec.running / 4),
        saturated_ratio=0.63 if spec.word == "queue" else 0.0, kv_used_mean=0.41, kv_used_max=0.78,
        input_tokens_mean=984.0, output_tokens_mean=240.0, requests_per_s=tokens / 240, ttft_p50_s=0.21,
        ttft_p95_s=3.4 if spec.word == "queue" else 0.62, tpot_p50_s=0.021, tpot_p95_s=0.031,
        slo_ratio=0.71 if spec.word == "queue" else 0.985, power_w=spec.watts * 0.93, busy_power_w=spec.watts,
        idle_power_w=118.0 if spec.word == "idle" else None, joules_per_output_token_gpu=joules,
        usd_per_million_output_tokens=spec.usd_per_gpu_hour * spec.per_instance / tokens / 3600 * 1e6,
    )  # fmt: skip


def curve(spec: Spec, instance: Instance) -> ResponseCurve:
    top = spec.tokens_per_s * 1.25
    points = []
    for at, lower in enumerate(RUNNING_BINS[1:]):
        if lower > spec.running * 2.2:
            break
        running = lower * 1.45
        points.append(
            CurvePoint(
                running, top * running / (running + spec.running * 0.45), 0.012 + 0.0004 * running,
                spec.watts * (0.78 + 0.05 * at), HOURS * 3600.0 * (0.05 + 0.2 * np.exp(-((np.log2(running / max(spec.running * 0.75, 0.5))) ** 2))),
            )
        )  # fmt: skip
    return ResponseCurve(instance.id, instance.config_digest, tuple(points))


TITLES = {
    "scale": ("saturated_time", "Time with a queue", "s/s"),
    "multidimensional": ("slo_ratio", "Requests inside the SLO", "1"),
    "architecture": ("weight_precision", "Weight precision against the best supported", "1"),
    "roi": ("roi.energy_per_token", "Attainable J/token over today's", "1"),
    "ecosystem": ("telemetry_coverage", "Telemetry coverage", "1"),
}


def scorecard(kind: str, target: str, scores: Sequence[tuple[float, float]]) -> Scorecard:
    indicators: list[Indicator] = []
    for dimension, (low, high) in zip(DIMENSIONS, scores, strict=True):
        name, title, unit = TITLES[dimension]
        value, attainable = low / 100, 1.0
        indicators.append(
            Indicator(name, dimension, title, value, unit, low, attainable, f"{title} stands at {low:.0f} of 100.", "Raise the batch limit.", "instance_hours.output_tokens", dimension == "scale")
        )  # fmt: skip
        if high > low:
            indicators.append(
                Indicator(f"{dimension}_missing", dimension, "Not seen", None, "1", None, None, "No source says.", "Enable dcgm-exporter.", "gpu_hours.sm_active_s")
            )  # fmt: skip
    total = Score(sum(s[0] for s in scores) / 5, sum(s[1] for s in scores) / 5)
    dimensions = {d: Score(*s) for d, s in zip(DIMENSIONS, scores, strict=True)}
    return Scorecard(kind, target, total, dimensions, tuple(indicators), 1)


def scorecards() -> tuple[Scorecard, ...]:
    cards = []
    for s in SPECS:
        cards += [scorecard("instance", i.id, s.scores) for i in instances_of(s)]
        cards.append(scorecard("node", s.node, s.scores))
        cards.append(
            scorecard("deployment", f"{s.model.split('/')[-1].lower()}-{s.node}", s.scores)
        )
    mean = tuple(
        (
            float(np.mean([s.scores[d][0] for s in SPECS])),
            float(np.mean([s.scores[d][1] for s in SPECS])),
        )
        for d in range(5)
    )
    return (*cards, scorecard("fleet", "fleet", mean))


def recommendation(spec: Spec, rank: int, rule: str, lever: str, title: str, change: tuple[FlagChange, ...], gain: float, usd: float, evidence: Evidence = Evidence.INTERPOLATED, *, cash: bool = False) -> Recommendation:  # fmt: skip
    tokens = spec.tokens_per_s * 0.66
    joules = spec.watts * 0.93 * spec.per_instance / tokens
    usd_token = spec.usd_per_gpu_hour * spec.per_instance / tokens / 3600 * 1e6
    effects: tuple[EffectRow, ...] = (
        EffectRow(
            "power_w",
            "W",
            spec.watts,
            interval(spec.watts * 0.9, spec.watts * 1.04, spec.watts * 1.15, Evidence.EXTRAPOLATED),
        ),
    )
    if lever != "consolidation":
        effects = (
            EffectRow("output_tokens_per_s", "{token}/s", tokens, interval(tokens * (1 + gain * 0.5), tokens * (1 + gain), tokens * (1 + gain * 1.4), evidence)),
            EffectRow("ttft_s", "s", 3.4, interval(0.4, 0.8, 1.5, evidence)),
            EffectRow("tpot_s", "s", 0.031, interval(0.029, 0.034, 0.041, evidence)),
            *effects,
            EffectRow("joules_per_output_token_gpu", "J/{token}", joules, interval(joules * 0.62, joules * 0.74, joules * 0.88, Evidence.EXTRAPOLATED)),
            EffectRow("usd_per_million_output_tokens", "USD", usd_token, interval(usd_token * 0.6, usd_token * 0.72, usd_token * 0.86, evidence)),
        )  # fmt: skip
    return Recommendation(
        id=f"rec_{spec.node}_{rule}", rule_id=rule, rule_version=1, lever=lever, title=title, target_kind="node", target_id=spec.node,
        node_ids=(spec.node,), deployment=f"{spec.model.split('/')[-1].lower()}-{spec.node}", change=change, effects=effects,
        cost_usd_per_month=interval(-usd * 1.4, -usd, -usd * 0.45, evidence), energy_kwh_per_month=interval(-900, -640, -200, Evidence.EXTRAPOLATED),
        cash=cash, restart_needed=True, effort="low", exclusive_group=f"{spec.node}/{lever}",
        why="Requests queue 63 % of the time while KV-cache use stays at 41 %: the batch limit holds them, not memory.",
        diagnosis=spec.word, figures={"saturated_ratio": 0.63, "kv_used_mean": 0.41, "tpot_p95_s": 0.031},
        quality_gate="lm_eval --tasks gsm8k,mmlu: no more than 1 point lost" if lever == "precision" else None,
        steps=("Change one replica.", "Watch TPOT p95 for a day against the SLO of 50 ms.", "Roll out to the rest."),
        rollback="Restart with the flags on the left.",
        considered=(Considered("Raise --max-num-seqs to 512", "TPOT p95 would be 61 ms, above the SLO of 50 ms."),),
        assumptions={"usd_per_gpu_hour": f"{spec.usd_per_gpu_hour} (synthetic price table)"}, rank=rank,
        first_seen=NOW - timedelta(days=3), last_seen=NOW,
    )  # fmt: skip


def recommendations() -> tuple[Recommendation, ...]:
    a, r1, oss, idle, _ = SPECS
    return (
        recommendation(idle, 1, "consolidate", "consolidation", "Release 6 of the 8 GPUs of h100-idle", (FlagChange("replicas", "4", "1", "action"),), 0.0, 12900.0, Evidence.MEASURED, cash=True),
        recommendation(oss, 2, "fewer_gpus_a_replica", "parallelism", "Serve gpt-oss-120b on one GPU a replica on b200-oss", (FlagChange("--tensor-parallel-size", "2", "1"), FlagChange("--data-parallel-size", None, "2")), 0.6, 11200.0),
        recommendation(r1, 3, "nvfp4_weights", "precision", "Serve DeepSeek-R1 in NVFP4 on b200-r1", (FlagChange("checkpoint", "deepseek-ai/DeepSeek-R1", "nvidia/DeepSeek-R1-FP4", "checkpoint"),), 0.45, 8600.0, Evidence.EXTRAPOLATED),
        recommendation(a, 4, "raise_batch_limit", "batch", "Raise the batch limit of Llama-3.3-70B on h100-a to 128", (FlagChange("--max-num-seqs", "32", "128"),), 0.8, 6400.0),
        recommendation(a, 5, "fp8_weights", "precision", "Serve Llama-3.3-70B in FP8 on h100-a", (FlagChange("--quantization", None, "fp8"), FlagChange("--kv-cache-dtype", None, "fp8")), 0.35, 3900.0),
    )  # fmt: skip


def assessment() -> Assessment:
    pairs = [(s, i) for s in SPECS for i in instances_of(s)]
    return Assessment(
        made_at=NOW,
        fleet=fleet(),
        scorecards=scorecards(),
        diagnoses=tuple(
            Diagnosis(
                kind,
                target,
                s.word,
                "Requests wait while the KV cache has room.",
                {"saturated_ratio": 0.63},
            )
            for s in SPECS
            for kind, target in [("node", s.node), *[("instance", i.id) for i in instances_of(s)]]
        ),
        measured=tuple(measured(s, i) for s, i in pairs),
        curves=tuple(curve(s, i) for s, i in pairs),
        costs=costs(),
        recommendations=recommendations(),
        not_fired=(
            NotFired("fp8_weights", "b200-good", "condition_false", "Weights are already 4 bits."),
        ),
        coverage=0.993,
        notes=("b200-r1: watts are assumed, not measured.",),
        coefficients={
            "usd_per_gpu_hour h100": "2.99, synthetic, 2026-11-01",
            "pue": "1.25, assumed",
        },
    )


def count_of(kind: str, spec: Spec) -> int:
    """How many instances a subject of this kind holds."""
    return 8 // spec.per_instance if kind == "node" else 1


class FakeStore:
    """Windows made by the same shapes as the hours, with a gap of six hours."""

    def append(self, fragments: Sequence[Fragment]) -> int:
        return len(fragments)

    def series(
        self, kind: str, subject_id: str, start: datetime, end: datetime, step_s: int
    ) -> Series:
        count = int((end - start).total_seconds() // step_s)
        first = np.datetime64(start.replace(tzinfo=None), "s")
        times = first + (np.arange(count) + 1) * np.timedelta64(step_s, "s")
        shape = day_shape(times) * (1 + 0.03 * np.sin(np.arange(count) * 1.7))
        shape[
            (times > np.datetime64("2026-11-20T02:00"))
            & (times < np.datetime64("2026-11-20T08:00"))
        ] = np.nan
        spec = next((s for s in SPECS if s.node in subject_id), None)
        if spec is None:
            return Series(times, {})
        if kind == "gpu":
            return Series(
                times, {"power_w": spec.watts * (0.75 + 0.25 * shape), "sm_active": 0.6 * shape}
            )
        return Series(
            times,
            {
                "output_tokens_per_s": spec.tokens_per_s * shape * count_of(kind, spec),
                "power_w": spec.watts
                * (0.75 + 0.25 * shape)
                * spec.per_instance
                * count_of(kind, spec),
                "running": spec.running * shape * count_of(kind, spec),
                "waiting": np.maximum(0, (shape - 0.6) * 20) if spec.word == "queue" else 0 * shape,
                "tpot_p95_s": 0.021 + 0.012 * shape + 0.0004 * (len(subject_id) % 3),
            },
        )

    def nodes(self) -> tuple[Node, ...]:
        return fleet().nodes

    def gpus(self) -> tuple[Gpu, ...]:
        return fleet().gpus

    def instances(self) -> tuple[Instance, ...]:
        return fleet().instances

    def instance_hours(self, start: datetime, end: datetime) -> InstanceHours:
        return instance_hours(start, int((end - start).total_seconds() // 3600))

    def gpu_hours(self, start: datetime, end: datetime) -> GpuHours:
        return gpu_hours(start, int((end - start).total_seconds() // 3600))


@dataclass
class FakeState:
    """Decisions in a dictionary."""

    decided: dict[str, Life] = field(default_factory=dict)

    def lives(self) -> Mapping[str, Life]:
        return dict(self.decided)

    def move(self, recommendation_id: str, before: Life, after: Life) -> bool:
        if self.decided.get(recommendation_id, Life()) != before:
            return False
        self.decided[recommendation_id] = after
        return True

    def score_history(self, kind: str, target_id: str) -> Sequence[ScoreMoment]:
        base = 55.0 if kind == "fleet" else 50.0
        return [
            ScoreMoment(
                NOW - timedelta(days=13 - day),
                kind,
                target_id,
                base + day * 0.4,
                base + day * 0.4 + 6,
                1,
            )
            for day in range(14)
        ]

    def check(self) -> None:
        return None


@dataclass
class FakeAdvisor:
    """An advisor that has assessed the synthetic fleet, or nothing yet."""

    assessment: Assessment | None
    store: FakeStore = field(default_factory=FakeStore)
    refreshed: list[datetime] = field(default_factory=list)

    def refresh(self, now: datetime) -> Assessment | None:
        self.refreshed.append(now)
        return self.assessment


def backing(
    said: Assessment | None,
    *,
    access: Access | None = None,
    report: ReportAddress | None = None,
) -> Backing:
    """What an app needs; another range is the same assessment over other hours."""
    return Backing(
        FakeAdvisor(said),
        FakeState(),
        access or Access(),
        report or ReportAddress(recipients=("ops@example.invalid",)),
        lambda fleet, now: replace(assessment(), fleet=fleet, made_at=now),
    )


class Client:
    """Asks an app in process, as a client on this machine does."""

    def __init__(self, served: Backing) -> None:
        self.backing = served
        self.app = create_app(served)

    def ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            base = "http://localhost:8080"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, url, **more)

        return asyncio.run(once())

    def get(self, url: str, **more: Any) -> httpx.Response:
        return self.ask("GET", url, **more)

    def post(self, url: str, **more: Any) -> httpx.Response:
        return self.ask("POST", url, **more)
