"""What every route takes from its request: the backing, the latest assessment, one target of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from advisor.api.contract import Backing
from advisor.api.problem import ApiError
from advisor.api.ranges import RangeName, Ranges
from advisor.assessment import Assessment


def backing(request: Request) -> Backing:
    """What the app was made from."""
    found: Backing = request.app.state.backing
    return found


def ranges(request: Request) -> Ranges:
    """Assessments by range."""
    found: Ranges = request.app.state.ranges
    return found


def latest(
    request: Request,
    range_name: Annotated[
        RangeName | None,
        Query(alias="range", description="up to now; without it the advisor's own range"),
    ] = None,
) -> Assessment:
    """The latest assessment over a range; 503 while there is none."""
    found = ranges(request).over(range_name)
    if found is None:
        raise ApiError(
            503,
            "There is no assessment yet: connect an agent and wait for its first windows, "
            "or POST /api/v1/assessments:refresh.",
            headers={"Retry-After": "60"},
        )
    return found


Backed = Annotated[Backing, Depends(backing)]
Ranged = Annotated[Ranges, Depends(ranges)]
Latest = Annotated[Assessment, Depends(latest)]


def missing(kind: str, target_id: str, where: str) -> ApiError:
    """The error for a target that does not exist."""
    return ApiError(404, f"There is no {kind} '{target_id}'; GET {where} lists what there is.")
