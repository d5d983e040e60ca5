"""Dated releases of drivers and engines: how old a version is, and whether its support has ended.

A version between two known ones is as old as the newer of them at least; one older than all known
is at least as old as the oldest. A component without rows has no age.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Release:
    """One version with its day; `precision` says how well the day is known."""

    component: str
    version: str
    released: date
    precision: str
    end_of_life: date | None
    source: str


def _read() -> tuple[Release, ...]:
    text = (files("advisor.catalog") / "data" / "releases.csv").read_text(encoding="utf-8")
    return tuple(
        Release(
            component=row["component"],
            version=row["version"],
            released=date.fromisoformat(row["date"]),
            precision=row["precision"],
            end_of_life=date.fromisoformat(row["end_of_life"]) if row["end_of_life"] else None,
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


RELEASES: tuple[Release, ...] = _read()


@cache
def version_key(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for order: "0.33.0rc1" is (0, 33, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", version.lstrip("v"))
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def released_by(component: str, version: str) -> Release | None:
    """The oldest known release at or above `version`: that version is at least as old.

    None where the component has no rows or the version is newer than all of them.
    """
    key = version_key(version)
    rows = [r for r in RELEASES if r.component == component and version_key(r.version) >= key]
    return min(rows, key=lambda r: version_key(r.version), default=None) if key else None


def age_days(component: str, version: str, at: date) -> int | None:
    """Days since `version` was out at the latest; 0 if newer than the table, None if unknown."""
    if not version_key(version) or not any(r.component == component for r in RELEASES):
        return None
    release = released_by(component, version)
    return max(0, (at - release.released).days) if release else 0


def end_of_life(component: str, version: str) -> date | None:
    """When support of the version's branch ends, where that is known."""
    branch = version_key(version)[:1]
    days = [
        r.end_of_life
        for r in RELEASES
        if r.component == component and version_key(r.version)[:1] == branch
    ]
    return next((day for day in days if day is not None), None)
