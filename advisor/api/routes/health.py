"""Whether the advisor lives, whether it is ready, and its figures for Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from advisor.api import present
from advisor.api.contract import Backing
from advisor.api.problem import responses
from advisor.api.request import Backed
from advisor.assessment import Assessment, CostLine

router = APIRouter(tags=["health"])
Labels = dict[str, str]
Sample = tuple[Labels, float | None]


class Health(BaseModel):
    """A probe's answer."""

    status: str = "ok"


@router.get("/livez")
def livez() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses=responses(503))
def readyz(backed: Backed) -> Health:
    """State and telemetry can be read. An advisor that has received nothing yet is ready."""
    backed.state.check()
    backed.advisor.store.nodes()
    return Health()


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _family(name: str, brief: str, samples: list[Sample]) -> Iterator[str]:
    known = [(labels, v) for labels, v in samples if v is not None and math.isfinite(v)]
    if not known:
        return
    yield f"# HELP {name} {brief}"
    yield f"# TYPE {name} gauge"
    for labels, value in known:
        text = ",".join(f'{key}="{_escape(word)}"' for key, word in labels.items())
        yield f"{name}{{{text}}} {value:.10g}" if text else f"{name} {value:.10g}"


def _per_target(lines: tuple[CostLine, ...], field: str) -> list[Sample]:
    return [({"kind": line.kind, "id": line.id}, getattr(line, field)) for line in lines]


def _tokens_per_joule(line: CostLine) -> float | None:
    joules = line.joules_per_output_token_gpu
    return 1 / joules if joules else None


def _recommendations(assessment: Assessment, backed: Backing) -> list[Sample]:
    lives = backed.state.lives()
    counts: dict[tuple[str, str], float] = {}
    for item in assessment.recommendations:
        key = (present.recommendation(item, lives).state, item.rule_id)
        counts[key] = counts.get(key, 0.0) + 1
    return [({"state": s, "rule": r}, count) for (s, r), count in sorted(counts.items())]


def exposition(backed: Backing, now: datetime) -> Iterator[str]:
    """The lines of the metrics page; a figure that is absent has no line."""
    assessment = backed.advisor.assessment
    yield from _family("joulewise_up", "The advisor answers.", [({}, 1.0)])
    if assessment is None:
        return
    scores: list[Sample] = [
        ({"kind": c.kind, "id": c.id, "bound": bound}, getattr(c.total, bound))
        for c in assessment.scorecards
        for bound in ("low", "high")
    ]
    age_s = (now - assessment.made_at).total_seconds()
    costs = assessment.costs
    families: list[tuple[str, str, list[Sample]]] = [
        (
            "joulewise_assessment_age_seconds",
            "Seconds since the fleet was assessed.",
            [({}, age_s)],
        ),
        (
            "joulewise_coverage_ratio",
            "Share of telemetry that arrived.",
            [({}, assessment.coverage)],
        ),
        ("joulewise_score", "Score, 0 to 100.", scores),
        ("joulewise_cost_usd", "Dollars over the range.", _per_target(costs, "cost_usd")),
        ("joulewise_idle_cost_usd", "Idle dollars.", _per_target(costs, "idle_cost_usd")),
        ("joulewise_energy_joules", "GPU energy over the range.", _per_target(costs, "energy_j")),
        (
            "joulewise_output_tokens",
            "Output tokens over the range.",
            _per_target(costs, "output_tokens"),
        ),
        (
            "joulewise_cost_usd_per_million_output_tokens",
            "Dollars a million output tokens, all time allocated.",
            _per_target(costs, "usd_per_million_output_tokens"),
        ),
        (
            "joulewise_output_tokens_per_joule",
            "Output tokens a joule of the GPUs.",
            [({"kind": c.kind, "id": c.id}, _tokens_per_joule(c)) for c in costs],
        ),
        ("joulewise_recommendations", "Recommendations.", _recommendations(assessment, backed)),
    ]
    for name, brief, samples in families:
        yield from _family(name, brief, samples)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(backed: Backed) -> PlainTextResponse:
    """Prometheus text: figures of the latest assessment over its range."""
    text = "\n".join(exposition(backed, datetime.now(UTC))) + "\n"
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
