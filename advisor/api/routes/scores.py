"""Scores with their history, costs, and when all of it was assessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from advisor.api import present
from advisor.api.guard import needs
from advisor.api.models import (
    AssessmentResource,
    CostResource,
    Listing,
    ScorecardResource,
    ScoreMoment,
)
from advisor.api.paging import Paged, cut
from advisor.api.problem import ApiError, responses
from advisor.api.request import Backed, Latest

router = APIRouter(tags=["assessment"])
TargetKind = Literal["fleet", "node", "deployment", "instance"]
CostKind = Literal["fleet", "node", "deployment", "instance", "team"]
Id = Annotated[str | None, Query(description="only this target", max_length=200)]


@router.get("/scores")
def list_scores(
    assessment: Latest,
    page: Paged,
    kind: Annotated[TargetKind | None, Query()] = None,
    target: Annotated[str | None, Query(alias="id", max_length=200)] = None,
) -> Listing[ScorecardResource]:
    """Scorecards with their indicators, by kind and id."""
    cards = [
        card
        for card in assessment.scorecards
        if kind in (None, card.kind) and target in (None, card.id)
    ]
    cards.sort(key=lambda card: (card.kind, card.id))
    items, cursor = cut(cards, page, lambda card: f"{card.kind}/{card.id}")
    return Listing(
        items=[ScorecardResource.model_validate(card) for card in items], next_cursor=cursor
    )


@router.get("/scores/history")
def list_score_history(
    backed: Backed,
    page: Paged,
    kind: Annotated[TargetKind, Query()],
    target: Annotated[str, Query(alias="id", max_length=200)],
) -> Listing[ScoreMoment]:
    """Total scores of one target at each assessment, oldest first."""
    moments = sorted(backed.state.score_history(kind, target), key=lambda item: item.made_at)
    items, cursor = cut(moments, page, lambda moment: moment.made_at.isoformat())
    return Listing(items=[ScoreMoment.model_validate(m) for m in items], next_cursor=cursor)


@router.get("/costs")
def list_costs(
    assessment: Latest,
    page: Paged,
    kind: Annotated[CostKind | None, Query()] = None,
    target: Annotated[str | None, Query(alias="id", max_length=200)] = None,
) -> Listing[CostResource]:
    """Cost, energy and tokens over the range, by kind and id."""
    lines = [c for c in assessment.costs if kind in (None, c.kind) and target in (None, c.id)]
    lines.sort(key=lambda line: (line.kind, line.id))
    items, cursor = cut(lines, page, lambda line: f"{line.kind}/{line.id}")
    return Listing(items=[CostResource.model_validate(c) for c in items], next_cursor=cursor)


@router.get("/assessments")
def list_assessments(assessment: Latest, page: Paged) -> Listing[AssessmentResource]:
    """The assessment that every other resource is read from; earlier ones live on in the scores."""
    items, cursor = cut([assessment], page, lambda item: item.made_at.isoformat())
    return Listing(items=[present.assessment(item) for item in items], next_cursor=cursor)


@router.post(
    "/assessments:refresh",
    dependencies=[Depends(needs("write"))],
    responses=responses(403, 503),
)
def refresh_assessment(backed: Backed) -> AssessmentResource:
    """Assess the fleet anew from what is stored now."""
    assessment = backed.advisor.refresh(datetime.now(UTC))
    if assessment is None:
        raise ApiError(
            503,
            "Nothing has been received yet; connect an agent, then refresh again.",
            headers={"Retry-After": "60"},
        )
    return present.assessment(assessment)
