"""Advice as lines: what stands in a scope, and how a recommendation reads in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advisor.advise.recommendation import Recommendation
from advisor.api.contract import Life
from advisor.assessment import Assessment
from advisor.pages import numbers, words
from advisor.pages.figure import Figure
from advisor.pages.scope import Scope, nodes_in

OPEN_STATES = ("open", "accepted")


@dataclass(frozen=True, slots=True)
class Advice:
    """One line of what to do."""

    id: str
    title: str
    target: str
    saving: Figure
    mark: str
    evidence: str
    effort: str
    restart: bool
    cash: bool
    state: str
    lever: str


def standing(
    assessment: Assessment, lives: Mapping[str, Life], scope: Scope
) -> list[Recommendation]:
    """Open and accepted recommendations of a scope, by rank."""
    nodes = {node.id for node in nodes_in(assessment, scope)}
    kept = [
        item
        for item in assessment.recommendations
        if lives.get(item.id, Life(item.state)).state in OPEN_STATES and nodes & set(item.node_ids)
    ]
    return sorted(kept, key=lambda item: (item.rank, item.id))


def line(item: Recommendation, lives: Mapping[str, Life]) -> Advice:
    """A recommendation as one line."""
    cost = item.cost_usd_per_month
    return Advice(
        id=item.id,
        title=item.title,
        target=", ".join(item.node_ids) or item.target_id,
        saving=Figure(
            words.saving(cost),
            numbers.exact(-cost.expected, "USD a month expected") if cost else "no price is known",
            f"/api/v1/recommendations/{item.id}",
            -cost.expected if cost else None,
        ),
        mark=words.EVIDENCE_MARK[cost.evidence] if cost else "",
        evidence=cost.evidence.value if cost else "",
        effort=item.effort,
        restart=item.restart_needed,
        cash=item.cash,
        state=lives.get(item.id, Life(item.state)).state,
        lever=item.lever,
    )
