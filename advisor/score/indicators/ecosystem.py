"""Technology ecosystem and install base: will it stay supported, alike and observed?"""

from __future__ import annotations

from collections import Counter
from datetime import date

from advisor.catalog.releases import age_days, end_of_life
from advisor.score.indicators.view import Kind, View
from advisor.score.result import Indicator

_DRIVER = Kind(
    "ecosystem.driver",
    "Age of the oldest GPU driver",
    "d",
    "install a driver of a branch in support",
    "hw.driver_version, dated releases",
    worst=730.0,
    best=180.0,
)
_ENGINE = Kind(
    "ecosystem.engine",
    "Age of the engine's version",
    "d",
    "move to a newer release of the engine, canary first",
    "joulewise.engine.version, dated releases",
    worst=540.0,
    best=90.0,
)
_COVERAGE = Kind(
    "ecosystem.coverage",
    "Time observed of the time that passed",
    "1",
    "see `joulewise-agent check` on the node for what is missing",
    "observed_s, first seen",
    worst=0.5,
    best=0.99,
)
_DRIFT = Kind(
    "ecosystem.drift",
    "Instances of the deployment with the same software",
    "1",
    "bring the deployment to one engine version and one driver",
    "joulewise.engine.version, hw.driver_version",
    worst=0.5,
    best=1.0,
)


def _driver(view: View) -> Indicator:
    today = view.now.date()
    ages = [(_supported_age(version, today), version) for version in view.situation.drivers]
    known = [(age, version) for age, version in ages if age is not None]
    if not known:
        return _DRIVER.of(None, "")
    age, version = max(known)
    end = end_of_life("nvidia-driver", version)
    ended = f", support ended {end}" if end and end < today else ""
    return _DRIVER.of(float(age), f"driver {version} is at least {age} days old{ended}")


def _supported_age(version: str, today: date) -> int | None:
    """Days since release; a driver out of support counts as the oldest."""
    age = age_days("nvidia-driver", version, today)
    end = end_of_life("nvidia-driver", version)
    if age is not None and end is not None and end < today:
        return max(age, int(_DRIVER.worst))
    return age


def _engine(view: View) -> Indicator:
    instance = view.situation.instance
    version = instance.engine_version
    age = age_days(instance.engine, version, view.now.date()) if version else None
    reason = f"{instance.engine} {version} is at least {age} days old"
    return _ENGINE.of(None if age is None else float(age), reason)


def _coverage(view: View) -> Indicator:
    value = view.situation.coverage
    return _COVERAGE.of(value, f"observed {value or 0:.0%} of the time")


def _drift(view: View) -> Indicator:
    software = [
        (peer.instance.engine, peer.instance.engine_version, peer.drivers) for peer in view.peers
    ]
    if not software or any(version is None for _, version, _ in software):
        return _DRIFT.of(None, "")
    same = Counter(software).most_common(1)[0][1]
    reason = f"{same} of {len(software)} instances run the same engine version and driver"
    return _DRIFT.of(same / len(software), reason)


KINDS = (_DRIVER, _ENGINE, _COVERAGE, _DRIFT)
INDICATORS = (_driver, _engine, _coverage, _drift)
