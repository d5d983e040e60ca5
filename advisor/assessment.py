"""One assessment of a fleet over a range: what scoring, economics and advice said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from advisor.advise.recommendation import Recommendation
from advisor.score.result import Diagnosis, Scorecard
from advisor.summary import Fleet


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Delivery at one load: tokens/s of the instance, watts a GPU, the seconds behind it."""

    running: float
    output_tokens_per_s: float
    tpot_s: float | None
    power_w: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ResponseCurve:
    """What an instance with one configuration digest delivers against running requests."""

    instance_id: str
    config_digest: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class CostLine:
    """Cost, energy and tokens of a fleet, node, instance, deployment or team over the range.

    GPU-hours: allocated = a serving process holds the GPU; active = requests were running;
    effective = active, weighted by tokens/s over the attainable. Absent figures are None.
    Each stage's dollars are its GPU-hours, each at its own GPU's price; idle = cost - active.
    `price_sources` names the price rows used; every rate derives from the totals here.
    """

    kind: str
    id: str
    gpu_hours: float
    allocated_gpu_hours: float
    active_gpu_hours: float
    effective_gpu_hours: float | None
    cost_usd: float | None
    idle_cost_usd: float | None
    energy_j: float | None
    output_tokens: float | None
    input_tokens: float | None
    usd_per_million_output_tokens: float | None
    joules_per_output_token_gpu: float | None
    mean_power_w: float | None
    price_sources: tuple[str, ...] = ()
    allocated_cost_usd: float | None = None
    active_cost_usd: float | None = None
    effective_cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one instance did over the range, for pages and rules alike. None is absence."""

    instance_id: str
    observed_s: float
    output_tokens_per_s: float | None
    busy_output_tokens_per_s: float | None
    running_mean: float | None
    running_mean_busy: float | None
    waiting_mean: float | None
    busy_ratio: float | None
    saturated_ratio: float | None
    kv_used_mean: float | None
    kv_used_max: float | None
    input_tokens_mean: float | None
    output_tokens_mean: float | None
    requests_per_s: float | None
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    tpot_p50_s: float | None
    tpot_p95_s: float | None
    slo_ratio: float | None
    power_w: float | None
    busy_power_w: float | None
    idle_power_w: float | None
    joules_per_output_token_gpu: float | None
    usd_per_million_output_tokens: float | None


@dataclass(frozen=True, slots=True)
class NotFired:
    """Why a rule said nothing about a target: `not_enough_data`, `condition_false` or `dropped`."""

    rule_id: str
    target_id: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class Assessment:
    """Everything said about `fleet` at `made_at`; recommendations are ranked by dollars a month.

    Once it is kept, recommendations said before follow those said now, each with where it stands.
    """

    made_at: datetime
    fleet: Fleet
    scorecards: tuple[Scorecard, ...]
    diagnoses: tuple[Diagnosis, ...]
    measured: tuple[Measured, ...]
    curves: tuple[ResponseCurve, ...]
    costs: tuple[CostLine, ...]
    recommendations: tuple[Recommendation, ...]
    not_fired: tuple[NotFired, ...] = ()
    coverage: float = 1.0
    notes: tuple[str, ...] = ()
    coefficients: Mapping[str, str] = field(default_factory=dict)
