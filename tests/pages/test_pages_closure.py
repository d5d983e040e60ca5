"""Nothing is emitted that is not in the vocabulary, and no table holds a name that no page has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.dcgm import NAMES
from agent.engine import EngineTable, parse_formula
from agent.engines import ENGINES
from agent.read import SOURCES, read
from agent.vocabulary import PART_ATTRIBUTES, RANK_ATTRIBUTES, SIGNALS, Histogram

HERE = Path(__file__).parent
TEXTS = {page.name: page.read_text() for page in HERE.glob("*.prom")}
ON_PAGES = {
    name
    for text in TEXTS.values()
    for name in re.findall(r"^([A-Za-z_:][\w:]*)(?=[ {])", text, re.MULTILINE)
}
IN_JSON = set(
    re.findall(r'"(\w+)":', "".join(p.read_text() for p in HERE.glob("tensorrt_llm_*.json")))
)


def test_everything_emitted_is_in_the_vocabulary(our_page: Path) -> None:
    for reading in read("auto", str(our_page)).readings:
        signal = SIGNALS[reading.signal]
        parts = PART_ATTRIBUTES if signal.subject == "gpu" else RANK_ATTRIBUTES
        assert {name for name, _ in reading.attributes} <= {*signal.attributes, *parts}
        assert isinstance(reading.value, Histogram) == (signal.kind == "histogram")
        assert reading.attributes == tuple(sorted(reading.attributes))


def test_no_reading_comes_twice(our_page: Path) -> None:
    readings = read("auto", str(our_page)).readings
    assert len({(reading.signal, reading.attributes) for reading in readings}) == len(readings)


@pytest.mark.parametrize("table", ENGINES.values(), ids=ENGINES)
def test_every_name_of_an_engine_is_on_a_page(table: EngineTable) -> None:
    on_pages = {table.names[name] for name in ON_PAGES if name in table.names}
    in_json = {key for key in table.names.values() if key.rsplit(".", 1)[-1] in IN_JSON}
    assert set(table.names.values()) - on_pages - in_json == set()


@pytest.mark.parametrize("table", ENGINES.values(), ids=ENGINES)
def test_every_label_and_prefix_of_an_engine_is_on_a_page(table: EngineTable) -> None:
    text = "".join(
        text for name, text in TEXTS.items() if name.startswith(table.name.replace("-", "_"))
    )
    labels = set(re.findall(r'[{,](\w+)="', text))
    assert set(table.labels) <= labels
    held = {term.label for info in table.info for term in parse_formula(info.sources[0])}
    assert held - {None} <= labels


def test_every_field_of_dcgm_is_on_a_page() -> None:
    middle_links = re.compile(r"_L(?!0\b|0_|17\b|17_)\d+")
    assert {name for name in NAMES if not middle_links.search(name)} - ON_PAGES == set()


def test_every_signal_that_only_reading_shows_is_on_a_page() -> None:
    shown = {signal.name for signal in SIGNALS.values() if not signal.shipped}
    readings = [json.loads(path.read_text()) for path in HERE.glob("*.readings.json")]
    assert shown <= {reading["signal"] for page in readings for reading in page}


def test_every_engine_and_dcgm_has_pages() -> None:
    read_from_pages = {name.replace("-", "_") for name in SOURCES} - {"auto", "nvml"}
    for source in read_from_pages:
        assert any(name.startswith(source) for name in TEXTS), source
