"""Every page of ours gives the readings beside it; `pytest tests/pages --rewrite` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path

from agent.read import read, to_json


def test_page_gives_the_readings_beside_it(our_page: Path, *, rewrite: bool) -> None:
    readings = to_json(read("auto", str(our_page)).readings)
    expected = our_page.with_name(our_page.name + ".readings.json")
    if rewrite:
        lines = ",\n".join(json.dumps(reading) for reading in readings)
        expected.write_text(f"[\n{lines}\n]\n" if readings else "[]\n")
    assert readings == json.loads(expected.read_text())


def test_a_page_names_the_same_readings_under_its_own_source(our_page: Path) -> None:
    source = our_page.name.split("_")[0].replace("tensorrt", "trtllm")
    assert read(source, str(our_page)) == read("auto", str(our_page))


def test_expected_readings_belong_to_a_page() -> None:
    folder = Path(__file__).parent
    orphans = [
        path.name
        for path in folder.glob("*.readings.json")
        if not path.with_name(path.name.removesuffix(".readings.json")).exists()
    ]
    assert not orphans
