"""What a view shows: range and scope from its URL, and the cost of what lies in the scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

from advisor.api.ranges import RangeName
from advisor.assessment import Assessment, CostLine
from advisor.summary import Instance, Node

RANGE_WORDS = {"24h": "24 hours", "7d": "7 days", "4w": "4 weeks"}
_SUMMED = (
    "gpu_hours",
    "allocated_gpu_hours",
    "active_gpu_hours",
    "effective_gpu_hours",
    "cost_usd",
    "idle_cost_usd",
    "energy_j",
    "output_tokens",
    "input_tokens",
    "mean_power_w",
    "allocated_cost_usd",
    "active_cost_usd",
    "effective_cost_usd",
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is shown; an empty field leaves nothing out."""

    team: str = ""
    deployment: str = ""
    model: str = ""
    gpu: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self == Scope()


@dataclass(frozen=True, slots=True)
class View:
    """A range and a scope: what is in the URL of every view."""

    range: RangeName | None = None
    scope: Scope = Scope()

    def query(self, **changed: str) -> str:
        """The query string of this view with some fields changed; empty fields are left out."""
        names = {field.name for field in fields(Scope)}
        scope = replace(self.scope, **{k: v for k, v in changed.items() if k in names})
        pairs = {"range": changed.get("range", self.range or "")}
        pairs |= {field.name: getattr(scope, field.name) for field in fields(Scope)}
        pairs |= {k: v for k, v in changed.items() if k not in names}
        text = urlencode({key: value for key, value in pairs.items() if value})
        return f"?{text}" if text else ""


def instances_in(assessment: Assessment, scope: Scope) -> tuple[Instance, ...]:
    """The instances that a scope keeps."""
    product = {gpu.id: gpu.product for gpu in assessment.fleet.gpus}
    kept = assessment.fleet.instances
    if scope.team:
        members = _members(assessment, team=scope.team)
        kept = tuple(i for i in kept if i.id in members)
    if scope.deployment:
        members = _members(assessment, name=scope.deployment)
        kept = tuple(i for i in kept if i.id in members)
    if scope.model:
        kept = tuple(i for i in kept if i.model == scope.model)
    if scope.gpu:
        kept = tuple(i for i in kept if scope.gpu in {product.get(g) for g in i.gpu_ids})
    return kept


def _members(
    assessment: Assessment, *, team: str | None = None, name: str | None = None
) -> set[str]:
    return {
        instance
        for deployment in assessment.fleet.deployments
        if team in (None, deployment.team) and name in (None, deployment.name)
        for instance in deployment.instance_ids
    }


def nodes_in(assessment: Assessment, scope: Scope) -> tuple[Node, ...]:
    """The nodes that a scope keeps: those its instances run on, all of them without one."""
    if scope.is_whole:
        return assessment.fleet.nodes
    gpus = {gpu for instance in instances_in(assessment, scope) for gpu in instance.gpu_ids}
    hosts = {instance.host_id for instance in instances_in(assessment, scope)}
    hosts |= {gpu.host_id for gpu in assessment.fleet.gpus if gpu.id in gpus}
    return tuple(node for node in assessment.fleet.nodes if node.id in hosts)


def cost_in(assessment: Assessment, scope: Scope) -> CostLine | None:
    """The cost of a scope: the fleet's own line, or the sum of its instances' lines."""
    if scope.is_whole:
        return next((line for line in assessment.costs if line.kind == "fleet"), None)
    lines = priced_parts(assessment, scope)
    return combined(lines) if lines else None


def priced_parts(assessment: Assessment, scope: Scope) -> list[CostLine]:
    """The lines that make up a scope's cost: its nodes, or its instances where it is narrower."""
    if scope.is_whole:
        return [c for c in assessment.costs if c.kind == "node"]
    ids = {instance.id for instance in instances_in(assessment, scope)}
    return [c for c in assessment.costs if c.kind == "instance" and c.id in ids]


def combined(lines: Sequence[CostLine]) -> CostLine:
    """Cost lines as one: totals added, rates taken anew. A total is absent where a part is."""
    totals = {name: _total(getattr(line, name) for line in lines) for name in _SUMMED}
    tokens = totals["output_tokens"]
    return CostLine(
        kind="scope",
        id="scope",
        gpu_hours=totals["gpu_hours"] or 0.0,
        allocated_gpu_hours=totals["allocated_gpu_hours"] or 0.0,
        active_gpu_hours=totals["active_gpu_hours"] or 0.0,
        effective_gpu_hours=totals["effective_gpu_hours"],
        cost_usd=totals["cost_usd"],
        idle_cost_usd=totals["idle_cost_usd"],
        energy_j=totals["energy_j"],
        output_tokens=tokens,
        input_tokens=totals["input_tokens"],
        usd_per_million_output_tokens=_rate(totals["cost_usd"], tokens, 1e6),
        joules_per_output_token_gpu=_rate(totals["energy_j"], tokens, 1.0),
        mean_power_w=totals["mean_power_w"],
        price_sources=tuple(sorted({source for line in lines for source in line.price_sources})),
        allocated_cost_usd=totals["allocated_cost_usd"],
        active_cost_usd=totals["active_cost_usd"],
        effective_cost_usd=totals["effective_cost_usd"],
    )


def _total(values: Iterable[float | None]) -> float | None:
    parts = list(values)
    known = [value for value in parts if value is not None]
    return sum(known) if len(known) == len(parts) else None


def _rate(total: float | None, tokens: float | None, scale: float) -> float | None:
    return total / tokens * scale if total is not None and tokens else None
