"""The same fleet over another range than the advisor's own: assessed when asked, kept until new."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from advisor.api.contract import Served
from advisor.assessment import Assessment
from advisor.summary import Fleet, InstanceHours

RangeName = Literal["24h", "7d", "4w"]
RANGES: dict[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "4w": timedelta(weeks=4),
}
Assessing = Callable[[Fleet, datetime], Assessment]


def length(assessment: Assessment) -> timedelta:
    """How long the range of an assessment is."""
    return assessment.fleet.end - assessment.fleet.start


def range_name(assessment: Assessment) -> str | None:
    """The range an assessment covers by its name, within an hour; None for another length."""
    own = length(assessment)
    near = [name for name, size in RANGES.items() if abs(own - size) <= timedelta(hours=1)]
    return near[0] if near else None


class Ranges:
    """Assessments by range, each made once for every assessment of the advisor."""

    def __init__(self, advisor: Served, assessing: Assessing) -> None:
        self._advisor = advisor
        self._assessing = assessing
        self._lock = threading.Lock()
        self._of: Assessment | None = None
        self._made: dict[str, Assessment] = {}
        self._before: dict[tuple[datetime, datetime], InstanceHours] = {}

    def over(self, name: RangeName | None) -> Assessment | None:
        """The latest assessment over a range; its own where no range is named.

        What is advised always rests on the advisor's own range.
        """
        latest = self._advisor.assessment
        if latest is None or name is None or name == range_name(latest):
            return latest
        with self._lock:
            self._forget_all_but(latest)
            if name not in self._made:
                self._made[name] = self._assess(latest, RANGES[name])
            return self._made[name]

    def before(self, assessment: Assessment) -> InstanceHours:
        """Hours of the range before an assessment's own, of the same length."""
        start = assessment.fleet.start
        earlier = start - length(assessment)
        with self._lock:
            self._forget_all_but(self._advisor.assessment)
            if (earlier, start) not in self._before:
                self._before[earlier, start] = self._advisor.store.instance_hours(earlier, start)
            return self._before[earlier, start]

    def _forget_all_but(self, latest: Assessment | None) -> None:
        if self._of is not latest:
            self._of, self._made, self._before = latest, {}, {}

    def _assess(self, latest: Assessment, size: timedelta) -> Assessment:
        end = latest.fleet.end
        start = (end - size).replace(minute=0, second=0, microsecond=0)
        store = self._advisor.store
        fleet = replace(
            latest.fleet,
            start=start,
            instance_hours=store.instance_hours(start, end),
            gpu_hours=store.gpu_hours(start, end),
        )
        made = self._assessing(fleet, latest.made_at)
        return replace(made, recommendations=latest.recommendations, not_fired=latest.not_fired)
