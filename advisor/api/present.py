"""Values of an assessment as REST resources, joined by id; only means over hours are computed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from advisor.advise.recommendation import Recommendation
from advisor.api.contract import Life
from advisor.api.models import (
    AssessmentResource,
    DeploymentResource,
    GpuResource,
    InstanceResource,
    NodeResource,
    RecommendationResource,
)
from advisor.assessment import Assessment, CostLine, Measured
from advisor.score.result import Diagnosis, Scorecard
from advisor.summary import Deployment, Floats, Gpu, Instance, Node


def fields(value: Any) -> dict[str, Any]:
    """The fields of a frozen value, without descending into them."""
    return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}


def scorecard(assessment: Assessment, kind: str, target_id: str) -> Scorecard | None:
    """The scorecard of one target."""
    return next((s for s in assessment.scorecards if (s.kind, s.id) == (kind, target_id)), None)


def diagnosis(assessment: Assessment, kind: str, target_id: str) -> Diagnosis | None:
    """The diagnosis of one target."""
    return next((d for d in assessment.diagnoses if (d.kind, d.id) == (kind, target_id)), None)


def cost(assessment: Assessment, kind: str, target_id: str | None = None) -> CostLine | None:
    """The cost line of one target; of the only one of its kind where no id is given."""
    return next(
        (c for c in assessment.costs if c.kind == kind and target_id in (None, c.id)),
        None,
    )


def measured(assessment: Assessment, instance_id: str) -> Measured | None:
    """What one instance did."""
    return next((m for m in assessment.measured if m.instance_id == instance_id), None)


def node_instances(assessment: Assessment, node: Node) -> list[Instance]:
    """The instances that run on GPUs of a node, its own first."""
    gpus = {gpu.id for gpu in assessment.fleet.gpus if gpu.host_id == node.id}
    return [
        instance
        for instance in assessment.fleet.instances
        if instance.host_id == node.id or gpus & set(instance.gpu_ids)
    ]


def node(assessment: Assessment, value: Node) -> NodeResource:
    """A node with its parts, score, diagnosis and cost."""
    card = scorecard(assessment, "node", value.id)
    gpus = [gpu.id for gpu in assessment.fleet.gpus if gpu.host_id == value.id]
    return NodeResource.model_validate(
        fields(value)
        | {
            "gpu_ids": gpus,
            "instance_ids": [i.id for i in node_instances(assessment, value)],
            "score": card and card.total,
            "diagnosis": diagnosis(assessment, "node", value.id),
            "cost": cost(assessment, "node", value.id),
        }
    )


def instance(assessment: Assessment, value: Instance) -> InstanceResource:
    """An instance with its configuration, score, diagnosis, measured figures, cost and curves."""
    card = scorecard(assessment, "instance", value.id)
    return InstanceResource.model_validate(
        fields(value)
        | {
            "score": card and card.total,
            "diagnosis": diagnosis(assessment, "instance", value.id),
            "measured": measured(assessment, value.id),
            "cost": cost(assessment, "instance", value.id),
            "curves": [c for c in assessment.curves if c.instance_id == value.id],
        }
    )


def deployment(assessment: Assessment, value: Deployment) -> DeploymentResource:
    """A deployment with its promises, score and cost."""
    card = scorecard(assessment, "deployment", value.name)
    return DeploymentResource.model_validate(
        fields(value)
        | {"score": card and card.total, "cost": cost(assessment, "deployment", value.name)}
    )


def _ratio(above: Floats, below: Floats) -> float | None:
    """Sum over sum of the rows that have both; None where no time was observed."""
    both = np.isfinite(above) & np.isfinite(below)
    seconds = float(below[both].sum())
    return float(above[both].sum()) / seconds if seconds > 0 else None


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _sum_known(*parts: Floats) -> Floats:
    """Sum of columns, absent only where all are."""
    stacked = np.stack(parts)
    total: Floats = np.where(np.isnan(stacked).all(axis=0), np.nan, np.nansum(stacked, axis=0))
    return total


def gpu(assessment: Assessment, value: Gpu) -> GpuResource:
    """A GPU with its means over the range, from its hours."""
    hours = assessment.fleet.gpu_hours
    chosen = hours.gpu_id == value.id
    column = {name: values[chosen] for name, values in hours.columns.items()}
    activity = column["activity_observed_s"]
    power = column["power_observed_s"]
    throttled = _sum_known(
        column["throttle_power_s"], column["throttle_thermal_s"], column["throttle_other_s"]
    )
    nvlink = _sum_known(column["nvlink_transmit_bytes"], column["nvlink_receive_bytes"])
    return GpuResource.model_validate(
        fields(value)
        | {
            "instance_ids": [i.id for i in assessment.fleet.instances if value.id in i.gpu_ids],
            "power_w": _ratio(column["energy_j"], power),
            "sm_active_ratio": _ratio(column["sm_active_s"], activity),
            "tensor_active_ratio": _ratio(column["tensor_active_s"], activity),
            "dram_active_ratio": _ratio(column["dram_active_s"], activity),
            "nvlink_bytes_per_s": _ratio(nvlink, power),
            "temperature_celsius": _mean(column["temperature_celsius"]),
            "clock_sm_hz": _mean(column["clock_sm_hz"]),
            "throttled_ratio": _ratio(throttled, power),
            "memory_used_ratio": _ratio(column["memory_used_bytes"], column["memory_limit_bytes"]),
        }
    )


def assessment(value: Assessment) -> AssessmentResource:
    """When and from what an assessment was made."""
    return AssessmentResource(
        made_at=value.made_at,
        start=value.fleet.start,
        end=value.fleet.end,
        coverage=value.coverage,
        nodes=len(value.fleet.nodes),
        gpus=len(value.fleet.gpus),
        instances=len(value.fleet.instances),
        recommendations=sum(one.state == "open" for one in value.recommendations),
        notes=list(value.notes),
        coefficients=dict(value.coefficients),
    )


def etag(value: Recommendation, life: Life) -> str:
    """Changes whenever what was advised or decided does."""
    said = [value.id, value.rule_version, value.title, life.state, life.reason, str(life.until)]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
    return f'W/"{digest}"'


def recommendation(value: Recommendation, lives: Mapping[str, Life]) -> RecommendationResource:
    """A recommendation with where it stands."""
    life = lives.get(value.id, Life(state=value.state))
    return RecommendationResource.model_validate(
        fields(value)
        | {
            "state": life.state,
            "state_reason": life.reason,
            "snoozed_until": life.until,
            "etag": etag(value, life),
        }
    )
