"""Pages and where they lie: ours beside this file, recorded ones in the folder JOULEWISE_PAGES names."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.read import read, to_json

Key = tuple[str, frozenset[tuple[str, str]]]
Sample = tuple[str, dict[str, str], float]

HERE = Path(__file__).parent
RECORDED = Path(os.environ.get("JOULEWISE_PAGES", HERE.parents[2] / "shared/data/expositions"))
JSON_SOURCES = ("tensorrt_llm", "trtllm")
SOURCES = ("dcgm", "vllm", "sglang", *JSON_SOURCES)
KINDS = {
    "gpu_page": lambda page: page.name.startswith("dcgm"),
    "engine_page": lambda page: page.suffix == ".prom" and not page.name.startswith("dcgm"),
    "json_page": lambda page: page.suffix == ".json",
}
"""Fixtures of pages that are checked, ours and recorded ones."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="rewrite the expected readings of tests/pages; the diff is the review",
    )


def pages_of(folder: Path) -> list[Path]:
    pages = [page for name in SOURCES for page in folder.glob(f"{name}_*.prom")]
    pages += [page for name in JSON_SOURCES for page in folder.glob(f"{name}_*.json")]
    return sorted(page for page in pages if not page.name.endswith(".readings.json"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "our_page" in metafunc.fixturenames:
        metafunc.parametrize("our_page", pages_of(HERE), ids=lambda page: page.name)
    for fixture in {*KINDS} & {*metafunc.fixturenames}:
        pages = [p for f in (HERE, RECORDED) for p in pages_of(f) if KINDS[fixture](p)]
        parameters = [pytest.param(page, id=page.name) for page in pages]
        if not RECORDED.is_dir():
            reason = f"data: no recorded pages in {RECORDED}; JOULEWISE_PAGES names their folder"
            skip = pytest.mark.skip(reason=reason)
            parameters.append(pytest.param(HERE, id="recorded", marks=skip))
        metafunc.parametrize(fixture, parameters)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite", default=False))


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Path:
    """The page of this test, of whichever kind."""
    (name,) = {*KINDS} & {*request.fixturenames}
    path: Path = request.getfixturevalue(name)
    return path


@pytest.fixture
def samples(page: Path) -> list[Sample]:
    """What prometheus_client reads, a line at a time: one bad line spoils no other."""
    found = []
    for line in page.read_text().splitlines():
        with contextlib.suppress(ValueError):
            for family in text_string_to_metric_families(line + "\n"):
                found += [(s.name, dict(s.labels), float(s.value)) for s in family.samples]
    return found


@pytest.fixture
def readings(page: Path) -> list[dict[str, Any]]:
    found = to_json(read("auto", str(page)).readings)
    return [reading for reading in found if reading["kind"] != "info"]


@pytest.fixture
def numbers(readings: list[dict[str, Any]]) -> dict[Key, float]:
    return {key_of(r): r["value"] for r in readings if r["kind"] != "histogram"}


@pytest.fixture
def histograms(readings: list[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {key_of(r): r["value"] for r in readings if r["kind"] == "histogram"}


def key_of(reading: dict[str, Any]) -> Key:
    return reading["signal"], frozenset(reading["attributes"].items())
