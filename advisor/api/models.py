"""What REST resources hold. Names carry units; an absent figure is null, never 0."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from advisor.performance.effect import Evidence


def _absent(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Figure = Annotated[float | None, BeforeValidator(_absent)]
"""A number, or null where there is none: NaN and infinities are absence."""
Item = TypeVar("Item")


class Resource(BaseModel):
    """Read from the frozen values that the advisor reasons with."""

    model_config = ConfigDict(from_attributes=True)


class Listing(BaseModel, Generic[Item]):
    """One page of a list; `next_cursor` asks for the next."""

    items: list[Item]
    next_cursor: str | None = None


class ScoreRange(Resource):
    """0 to 100: low counts missing indicators as 0, high as 100."""

    low: float = Field(examples=[61.0])
    high: float = Field(examples=[68.5])


class IndicatorResource(Resource):
    """One measured quantity of a dimension with its points, reason and remedy."""

    id: str
    dimension: str = Field(examples=["roi"])
    title: str
    value: Figure
    unit: str
    points: Figure
    attainable: Figure
    reason: str
    remedy: str
    source: str
    critical: bool


class ScorecardResource(Resource):
    """The five SMART dimensions of one target and the indicators behind them."""

    kind: str = Field(examples=["node"])
    id: str = Field(examples=["h100-a"])
    total: ScoreRange
    dimensions: dict[str, ScoreRange]
    indicators: list[IndicatorResource]
    version: int


class ScoreMoment(Resource):
    """The total of one target as it was scored at one time."""

    made_at: datetime
    kind: str
    id: str
    low: float
    high: float
    version: int


class DiagnosisResource(Resource):
    """What bounds a target, with the figures that show it."""

    kind: str
    id: str
    word: str = Field(examples=["queue"])
    reason: str
    figures: dict[str, Figure]


class CostResource(Resource):
    """Cost, energy and tokens of one target over the range of the assessment."""

    kind: str = Field(examples=["fleet"])
    id: str = Field(examples=["fleet"])
    gpu_hours: Figure
    allocated_gpu_hours: Figure
    active_gpu_hours: Figure
    effective_gpu_hours: Figure
    cost_usd: Figure
    idle_cost_usd: Figure
    energy_j: Figure
    output_tokens: Figure
    input_tokens: Figure
    usd_per_million_output_tokens: Figure
    joules_per_output_token_gpu: Figure
    mean_power_w: Figure
    price_sources: list[str]
    allocated_cost_usd: Figure
    active_cost_usd: Figure
    effective_cost_usd: Figure


class MeasuredResource(Resource):
    """What one instance did over the range of the assessment."""

    instance_id: str
    observed_s: Figure
    output_tokens_per_s: Figure
    busy_output_tokens_per_s: Figure
    running_mean: Figure
    running_mean_busy: Figure
    waiting_mean: Figure
    busy_ratio: Figure
    saturated_ratio: Figure
    kv_used_mean: Figure
    kv_used_max: Figure
    input_tokens_mean: Figure
    output_tokens_mean: Figure
    requests_per_s: Figure
    ttft_p50_s: Figure
    ttft_p95_s: Figure
    tpot_p50_s: Figure
    tpot_p95_s: Figure
    slo_ratio: Figure
    power_w: Figure
    busy_power_w: Figure
    idle_power_w: Figure
    joules_per_output_token_gpu: Figure
    usd_per_million_output_tokens: Figure


class CurvePointResource(Resource):
    """Delivery at one load."""

    running: float
    output_tokens_per_s: Figure
    tpot_s: Figure
    power_w: Figure
    seconds: float


class CurveResource(Resource):
    """What an instance with one configuration delivers against running requests."""

    instance_id: str
    config_digest: str
    points: list[CurvePointResource]


class NodeResource(Resource):
    """A host with its GPUs, its agent's count of batches and what was said of it."""

    id: str = Field(examples=["h100-a"])
    name: str
    last_seen: datetime | None
    agent_version: str | None
    batches_produced: Figure
    batches_acknowledged: Figure
    batches_dropped: Figure
    labels: dict[str, str]
    gpu_ids: list[str]
    instance_ids: list[str]
    score: ScoreRange | None
    diagnosis: DiagnosisResource | None
    cost: CostResource | None


class InstanceResource(Resource):
    """A serving process group with its live configuration and what it did."""

    id: str = Field(examples=["h100-a:8000"])
    host_id: str
    engine: str = Field(examples=["vllm"])
    engine_version: str | None
    model: str | None
    weights: str | None
    kv: str | None
    gpu_ids: list[str]
    config_digest: str
    tensor_parallel: int | None
    pipeline_parallel: int | None
    data_parallel: int | None
    expert_parallel: int | None
    max_sequences: int | None
    max_batched_tokens: int | None
    max_model_length: int | None
    memory_utilization: Figure
    features: list[str]
    role: str
    tiers: dict[str, str]
    first_seen: datetime | None
    last_seen: datetime | None
    score: ScoreRange | None
    diagnosis: DiagnosisResource | None
    measured: MeasuredResource | None
    cost: CostResource | None
    curves: list[CurveResource]


class DeploymentResource(Resource):
    """Instances that serve one model for one purpose."""

    name: str
    instance_ids: list[str]
    model: str | None
    profile: str
    ttft_p95_s: Figure
    tpot_p95_s: Figure
    team: str | None
    usd_per_million_output_tokens_sold: Figure
    declared: bool
    score: ScoreRange | None
    cost: CostResource | None


class GpuResource(Resource):
    """A physical GPU and its means over the range of the assessment."""

    id: str
    host_id: str
    product: str
    driver_version: str | None
    compute_capability: str | None
    memory_bytes: Figure
    fabric_cluster: str | None
    fabric_clique: str | None
    last_seen: datetime | None
    instance_ids: list[str]
    power_w: Figure
    sm_active_ratio: Figure
    tensor_active_ratio: Figure
    dram_active_ratio: Figure
    nvlink_bytes_per_s: Figure
    temperature_celsius: Figure
    clock_sm_hz: Figure
    throttled_ratio: Figure
    memory_used_ratio: Figure


class SeriesResource(BaseModel):
    """Windows of one subject as columns: `time` is the end of each step; a gap is null."""

    kind: str
    id: str
    start: datetime
    end: datetime
    step_s: int
    time: list[datetime]
    columns: dict[str, list[Figure]]


class AssessmentResource(BaseModel):
    """When the fleet was assessed, over which range, from how much of its telemetry."""

    made_at: datetime
    start: datetime
    end: datetime
    coverage: Figure
    nodes: int
    gpus: int
    instances: int
    recommendations: int
    notes: list[str]
    coefficients: dict[str, str]


class IntervalResource(Resource):
    """A 90 % interval with its expected value and its evidence."""

    low: Figure
    expected: Figure
    high: Figure
    evidence: Evidence


class EffectResource(Resource):
    """One quantity now and as predicted, in `unit`."""

    quantity: str = Field(examples=["output_tokens_per_s"])
    unit: str
    now: Figure
    predicted: IntervalResource


class FlagChangeResource(Resource):
    """One line of the diff; null is a flag that is not set."""

    key: str = Field(examples=["--max-num-seqs"])
    current: str | None
    proposed: str | None
    sets: str


class ConsideredResource(Resource):
    """A candidate that was dropped, and why."""

    title: str
    reason: str


class RecommendationResource(Resource):
    """A rule that fired on a target: the change and what it is predicted to bring.

    `cost_usd_per_month` and `energy_kwh_per_month` are changes: negative is a saving.
    """

    id: str
    rule_id: str = Field(examples=["raise_batch_limit"])
    rule_version: int
    lever: str = Field(examples=["batch"])
    title: str
    target_kind: str
    target_id: str
    node_ids: list[str]
    deployment: str | None
    change: list[FlagChangeResource]
    effects: list[EffectResource]
    cost_usd_per_month: IntervalResource | None
    energy_kwh_per_month: IntervalResource | None
    cash: bool
    restart_needed: bool
    effort: str
    exclusive_group: str
    why: str
    diagnosis: str
    figures: dict[str, Figure]
    quality_gate: str | None
    steps: list[str]
    rollback: str
    considered: list[ConsideredResource]
    assumptions: dict[str, str]
    rank: int
    state: str = Field(examples=["open"])
    state_reason: str | None
    snoozed_until: datetime | None
    first_seen: datetime | None
    last_seen: datetime | None
    etag: str
