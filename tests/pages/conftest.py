"""Pages and where they lie: ours beside this file, recorded ones in the folder JOULEWISE_PAGES names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RECORDED = Path(os.environ.get("JOULEWISE_PAGES", HERE.parents[2] / "shared/data/expositions"))
JSON_SOURCES = ("tensorrt_llm", "trtllm")
SOURCES = ("dcgm", "vllm", "sglang", *JSON_SOURCES)


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
    for fixture, suffix in (("any_page", ".prom"), ("json_page", ".json")):
        if fixture in metafunc.fixturenames:
            pages = [p for f in (HERE, RECORDED) for p in pages_of(f) if p.suffix == suffix]
            parameters = [pytest.param(page, id=page.name) for page in pages]
            if not RECORDED.is_dir():
                reason = (
                    f"data: no recorded pages in {RECORDED}; JOULEWISE_PAGES names their folder"
                )
                skip = pytest.mark.skip(reason=reason)
                parameters.append(pytest.param(HERE, id="recorded", marks=skip))
            metafunc.parametrize(fixture, parameters)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite", default=False))
