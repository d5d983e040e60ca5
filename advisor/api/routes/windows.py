"""Windows of one subject as columns over time: what charts are drawn from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query

from advisor.api.models import SeriesResource
from advisor.api.problem import ApiError, responses
from advisor.api.request import Backed

router = APIRouter(tags=["windows"])
MAX_STEPS = 5000
LONGEST = timedelta(days=400)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ApiError(400, "A time needs its zone, as in 2026-11-23T09:00:00Z.")
    return moment.astimezone(UTC)


def _check(start: datetime, end: datetime, step_s: int) -> None:
    if not timedelta(0) < end - start <= LONGEST:
        raise ApiError(400, f"start must lie before end, by {LONGEST.days} days at most.")
    if (end - start).total_seconds() / step_s > MAX_STEPS:
        raise ApiError(400, f"More than {MAX_STEPS} steps; ask for a longer step.")


def _iso(times: np.ndarray) -> list[datetime]:
    seconds = times.astype("datetime64[ms]").astype(np.int64) / 1000
    return [datetime.fromtimestamp(second, UTC) for second in seconds.tolist()]


@router.get("/windows", responses=responses(400))
def get_windows(
    *,
    backed: Backed,
    kind: Annotated[Literal["gpu", "instance", "node"], Query()],
    target: Annotated[str, Query(alias="id", max_length=200, examples=["h100-a:8000"])],
    start: Annotated[datetime, Query(examples=["2026-11-22T09:00:00Z"])],
    end: Annotated[datetime, Query(examples=["2026-11-23T09:00:00Z"])],
    step: Annotated[int, Query(ge=60, le=86400, description="seconds a step")] = 60,
) -> SeriesResource:
    """Rates and levels of a GPU, an instance or a node; a gap is null."""
    start, end = _utc(start), _utc(end)
    _check(start, end, step)
    series = backed.advisor.store.series(kind, target, start, end, step)
    return SeriesResource(
        kind=kind,
        id=target,
        start=start,
        end=end,
        step_s=step,
        time=_iso(series.time),
        columns={name: values.tolist() for name, values in series.columns.items()},
    )
