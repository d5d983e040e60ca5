"""The table of nodes as values, one row a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from advisor.advise.recommendation import Recommendation
from advisor.api import present
from advisor.assessment import Assessment
from advisor.pages import numbers, words
from advisor.pages.figure import Figure, figure
from advisor.pages.marks import Bar, Spark, bars, savings, score_text, spark
from advisor.pages.tiles import SPARK_STEPS
from advisor.pages.trend import steps
from advisor.score.result import Scorecard
from advisor.summary import Node

SILENT_AFTER = timedelta(minutes=10)
SORTS = ("to_win", "score", "idle", "cost", "name")


@dataclass(frozen=True, slots=True)
class Bullet:
    """A measured figure against the attainable, both as shares of the scale."""

    value: float
    attainable: float | None
    title: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node of the table."""

    id: str
    name: str
    serves: str
    serves_title: str
    gpus: str
    tokens_per_s: Figure
    joules: Figure
    bullet: Bullet | None
    usd: Figure
    slo: Figure
    score: str
    score_low: float | None
    bars: tuple[Bar, ...]
    diagnosis: str
    diagnosis_reason: str
    spark: Spark | None
    to_win: Figure
    idle_usd: float
    cost_usd: float
    silent: bool


def is_silent(node: Node, assessment: Assessment) -> bool:
    """Whether a node said nothing lately, as seen when the assessment was made."""
    return node.last_seen is None or assessment.made_at - node.last_seen > SILENT_AFTER


def row(assessment: Assessment, node: Node, open_advice: Sequence[Recommendation]) -> NodeRow:
    """One node with what was measured, scored and advised."""
    card = present.scorecard(assessment, "node", node.id)
    cost = present.cost(assessment, "node", node.id)
    said = present.diagnosis(assessment, "node", node.id)
    own = [item for item in open_advice if node.id in item.node_ids]
    win = savings(own)
    href = f"/api/v1/nodes/{node.id}"
    serves, title = _serves(assessment, node)
    ids = frozenset(i.id for i in present.node_instances(assessment, node))
    fleet = assessment.fleet
    span = (fleet.start, fleet.end)
    course = steps(fleet.instance_hours, {}, span=span, count=SPARK_STEPS, instances=ids)
    joules = cost.joules_per_output_token_gpu if cost else None
    return NodeRow(
        id=node.id,
        name=node.name,
        serves=serves,
        serves_title=title,
        gpus=gpu_words(assessment, node),
        tokens_per_s=figure(_tokens_per_s(assessment, ids), numbers.significant, "tokens/s", href),
        joules=figure(joules, numbers.significant, "J/output token, GPUs", href),
        bullet=_bullet(joules, card),
        usd=figure(
            cost.usd_per_million_output_tokens if cost else None,
            numbers.usd,
            "USD per 1M output tokens",
            href,
        ),
        slo=figure(_slo(assessment, ids), numbers.percent, "of requests inside the SLO", href),
        score=score_text(card.total if card else None),
        score_low=card.total.low if card else None,
        bars=bars(card),
        diagnosis=words.diagnosis(said.word) if said else numbers.ABSENT,
        diagnosis_reason=said.reason if said else "not enough data for a diagnosis",
        spark=spark(course.joules_per_token, "watts over tokens/s"),
        to_win=figure(
            win.usd_per_month or None, lambda v: numbers.usd(v, 2), "USD a month expected", href
        ),
        idle_usd=(cost.idle_cost_usd if cost else None) or 0.0,
        cost_usd=(cost.cost_usd if cost else None) or 0.0,
        silent=is_silent(node, assessment),
    )


def _tokens_per_s(assessment: Assessment, ids: frozenset[str]) -> float | None:
    parts = [m.output_tokens_per_s for m in assessment.measured if m.instance_id in ids]
    known = [value for value in parts if value is not None]
    return sum(known) if known else None


def _slo(assessment: Assessment, ids: frozenset[str]) -> float | None:
    """The share of requests inside the SLO, instances weighted by their requests."""
    parts = [m for m in assessment.measured if m.instance_id in ids]
    known = [(m.slo_ratio, m.requests_per_s) for m in parts]
    weighted = [(s, r) for s, r in known if s is not None and r]
    total = sum(r for _, r in weighted)
    return sum(s * r for s, r in weighted) / total if total else None


def _serves(assessment: Assessment, node: Node) -> tuple[str, str]:
    instances = present.node_instances(assessment, node)
    models = sorted({i.model for i in instances if i.model})
    engines = sorted({words.engine(i.engine) for i in instances})
    if not instances:
        return "nothing that was recognised", "no engine was found on this node"
    text = f"{', '.join(map(numbers.short_model, models)) or 'unknown model'}"
    return text, f"{', '.join(models)} on {', '.join(engines)}, {len(instances)} instances"


def gpu_words(assessment: Assessment, node: Node) -> str:
    """The GPUs of a node: 8 x H100 80GB HBM3."""
    products = [numbers.product(g.product) for g in assessment.fleet.gpus if g.host_id == node.id]
    counts = {name: products.count(name) for name in dict.fromkeys(products)}
    return ", ".join(f"{count} \u00d7 {name}" for name, count in counts.items()) or "none seen"


def _bullet(joules: float | None, card: Scorecard | None) -> Bullet | None:
    """J/token against what the score's own indicator calls attainable, a ratio of today's."""
    indicators = card.indicators if card else ()
    found = next((i for i in indicators if i.id == "roi.energy_per_token"), None)
    if joules is None or found is None or found.value is None:
        return None
    attainable = joules * found.value
    scale = max(joules, attainable) * 1.05
    title = f"{joules:.4g} J/token against {attainable:.4g} attainable"
    return Bullet(joules / scale, attainable / scale, title)


def order(row: NodeRow, sort: str) -> tuple[float, str]:
    """The key by which a table is sorted; an unknown sort is by money to win."""
    keys = {
        "to_win": -(row.to_win.value or 0.0),
        "score": row.score_low if row.score_low is not None else 101.0,
        "idle": -row.idle_usd,
        "cost": -row.cost_usd,
        "name": 0.0,
    }
    return keys.get(sort, keys["to_win"]), row.name
