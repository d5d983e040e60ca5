"""Recommendations with what they bring, and the decisions people take about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AwareDatetime, BaseModel

from advisor.advise.recommendation import STATES, Recommendation
from advisor.api import present
from advisor.api.contract import Backing, Life
from advisor.api.decide import DismissReason, decide
from advisor.api.guard import needs
from advisor.api.models import Listing, RecommendationResource
from advisor.api.paging import Paged, cut
from advisor.api.problem import ApiError, responses
from advisor.api.request import Backed, Latest, missing
from advisor.assessment import Assessment

router = APIRouter(tags=["recommendations"])
Lever = Literal["precision", "batch", "parallelism", "consolidation"]
Match = Annotated[str | None, Header(description="the etag this decision was taken on")]
verbs = APIRouter(
    tags=["recommendations"],
    dependencies=[Depends(needs("write"))],
    responses=responses(403, 404, 409, 412, 422, 428),
)


class Snooze(BaseModel):
    """Until when a recommendation rests; a week where nothing is said."""

    until: AwareDatetime | None = None


class Dismiss(BaseModel):
    """Why a recommendation is not followed."""

    reason: DismissReason


def find(assessment: Assessment, recommendation_id: str) -> Recommendation:
    """One recommendation, or the 404 that says where to look."""
    for item in assessment.recommendations:
        if item.id == recommendation_id:
            return item
    raise missing("recommendation", recommendation_id, "/api/v1/recommendations")


@router.get("/recommendations")
def list_recommendations(
    *,
    assessment: Latest,
    backed: Backed,
    page: Paged,
    state: Annotated[str | None, Query(pattern=f"^({'|'.join(STATES)})$")] = None,
    lever: Annotated[Lever | None, Query()] = None,
    node: Annotated[str | None, Query(max_length=200)] = None,
) -> Listing[RecommendationResource]:
    """Recommendations as ranked: most dollars a month first."""
    lives = backed.state.lives()
    shown = [present.recommendation(item, lives) for item in assessment.recommendations]
    chosen = [
        item
        for item in sorted(shown, key=lambda item: (item.rank, item.id))
        if state in (None, item.state)
        and lever in (None, item.lever)
        and (node is None or node in item.node_ids)
    ]
    items, cursor = cut(chosen, page, lambda item: item.id)
    return Listing(items=items, next_cursor=cursor)


@router.get("/recommendations/{recommendation_id}", responses=responses(404))
def get_recommendation(
    assessment: Latest, backed: Backed, recommendation_id: str, response: Response
) -> RecommendationResource:
    """One recommendation; its ETag is what a decision must name in If-Match."""
    value = find(assessment, recommendation_id)
    shown = present.recommendation(value, backed.state.lives())
    response.headers["ETag"] = shown.etag
    return shown


def move(
    backed: Backing,
    value: Recommendation,
    verb: str,
    match: str | None,
    *,
    reason: DismissReason | None = None,
    until: datetime | None = None,
) -> RecommendationResource:
    """Decide on the state that `match` names: 428 without one, 412 where it has changed."""
    before = backed.state.lives().get(value.id, Life(state=value.state))
    if match is None:
        raise ApiError(428, "Send If-Match with the etag of the recommendation you decided on.")
    if match not in ("*", present.etag(value, before)):
        raise ApiError(412, "It has changed since you read it; read it again and decide anew.")
    after = decide(verb, before, datetime.now(UTC), reason=reason, until=until)
    if not backed.state.move(value.id, before, after):
        raise ApiError(412, "It was changed at the same moment; read it again and decide anew.")
    return present.recommendation(value, {value.id: after})


@verbs.post("/recommendations/{recommendation_id}:accept")
def accept_recommendation(
    assessment: Latest, backed: Backed, recommendation_id: str, if_match: Match = None
) -> RecommendationResource:
    """The change will be made; what is predicted is kept as it is."""
    return move(backed, find(assessment, recommendation_id), "accept", if_match)


@verbs.post("/recommendations/{recommendation_id}:snooze")
def snooze_recommendation(
    assessment: Latest,
    backed: Backed,
    recommendation_id: str,
    body: Snooze | None = None,
    if_match: Match = None,
) -> RecommendationResource:
    """Let it rest until a time."""
    until = body.until if body else None
    return move(backed, find(assessment, recommendation_id), "snooze", if_match, until=until)


@verbs.post("/recommendations/{recommendation_id}:dismiss")
def dismiss_recommendation(
    assessment: Latest,
    backed: Backed,
    recommendation_id: str,
    body: Dismiss,
    if_match: Match = None,
) -> RecommendationResource:
    """It will not be followed, for a reason."""
    value = find(assessment, recommendation_id)
    return move(backed, value, "dismiss", if_match, reason=body.reason)


@verbs.post("/recommendations/{recommendation_id}:reopen")
def reopen_recommendation(
    assessment: Latest, backed: Backed, recommendation_id: str, if_match: Match = None
) -> RecommendationResource:
    """Take a decision back."""
    return move(backed, find(assessment, recommendation_id), "reopen", if_match)


router.include_router(verbs)
