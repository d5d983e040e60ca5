"""Fixtures that several areas share: synthetic fleets and what is said of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from advisor.assessment import Assessment
    from advisor.summary import Fleet

FLEETS = Path(__file__).parent / "fleets"


def _module(name: str) -> ModuleType:
    """A module of tests/fleets, which is a folder and not a package."""
    full = f"fleets_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, FLEETS / f"{name}.py")
        assert spec
        assert spec.loader
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture(scope="session")
def fleet_builder() -> ModuleType:
    """`Serving`, `build` and `without` of tests/fleets/build.py."""
    return _module("build")


@pytest.fixture(scope="session")
def web() -> ModuleType:
    """The assessment, store, state and client of tests/fleets/web.py."""
    return _module("web")


@pytest.fixture(scope="session")
def story_fleet(fleet_builder: ModuleType) -> Fleet:
    """A week of the five nodes of tests/fleets/story.py."""
    story = _module("story")
    return fleet_builder.build(
        story.servings(fleet_builder.Serving), deployments=story.deployments()
    )


@pytest.fixture(scope="session")
def story_assessment(story_fleet: Fleet) -> Assessment:
    """What is said of the five nodes at the end of their week."""
    from advisor.assess import AssessSettings, assess

    return assess(story_fleet, AssessSettings(), now=story_fleet.end)
