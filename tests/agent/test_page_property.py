"""The page reader against prometheus_client's parser over pages that hypothesis makes up."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.engine import read_engine
from agent.engines import ENGINES
from agent.errors import AgentError
from agent.page import PageReader
from agent.read import SOURCES, read_page

PAGES = Path(__file__).parents[1] / "pages"
DAMAGED = (
    "dcgm_mig.prom",
    "dcgm_sentinels.prom",
    "sglang_0.4.6.prom",
    "tensorrt_llm_iterations.json",
    "vllm_triton.prom",
)
NAMES = ("up", "tokens_total", "vllm:running", "DCGM_FI_X")
LABELS = ("a", "le", "model_name", "_x1")
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\r"), max_size=12
) | st.sampled_from(['"', "\\", "\n", "}", "{", ",", "#", ' 5"', 'le="1"', "a\\nb", "\\\\n"])
VALUE = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**20), 10**20)
SAMPLE = st.tuples(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(LABELS), TEXT, max_size=4),
    VALUE,
    st.none() | st.integers(0, 2 * 10**12),
)


def line_of(name: str, labels: dict[str, str], value: float, at_ms: int | None) -> str:
    escaped = {
        label: text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        for label, text in labels.items()
    }
    inner = ",".join(f'{label}="{text}"' for label, text in escaped.items())
    braces = f"{{{inner}}}" if labels else ""
    return f"{name}{braces} {value}" + ("" if at_ms is None else f" {at_ms}")


def oracle(text: str) -> dict[tuple[str, frozenset], float]:
    found: dict[tuple[str, frozenset], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault((sample.name, frozenset(sample.labels.items())), float(sample.value))
    return found


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@given(st.lists(SAMPLE, max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_page_reads_as_prometheus_client_reads_it(samples: list) -> None:
    text = "".join(line_of(*sample) + "\n" for sample in samples)
    expected = oracle(text)
    reader = PageReader({name: name for name in NAMES})
    for _ in range(2):
        page = reader.read(text.encode())
        found = {
            (series.key, frozenset(series.labels)): value
            for name in NAMES
            for series, value in page.samples(name)
        }
        assert found.keys() == expected.keys()
        assert all(same(value, expected[key]) for key, value in found.items())


@given(st.sampled_from(SOURCES), st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise_anything_but_our_error(source: str, text: bytes) -> None:
    with contextlib.suppress(AgentError):
        read_page(source if source != "nvml" else "auto", text)


@given(st.sampled_from(DAMAGED), st.data())
@settings(max_examples=80, deadline=None)
def test_a_damaged_page_raises_nothing_but_our_error(page: str, data: st.DataObject) -> None:
    text = bytearray((PAGES / page).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        result = read_page("auto", bytes(text))
    except AgentError:
        return
    for reading in result.readings:
        value = reading.value
        if isinstance(value, float):
            assert math.isfinite(value)


def test_a_page_read_again_takes_a_fifth_of_prometheus_clients_time_at_most() -> None:
    text = (PAGES / "vllm_0.33_dp2.prom").read_bytes()
    table = ENGINES["vllm"]
    reader = PageReader(table.names)

    def best_s(work) -> float:
        times = []
        for _ in range(7):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        return min(times)

    ours = best_s(lambda: read_engine(table, reader.read(text)))
    assert ours <= best_s(lambda: list(text_string_to_metric_families(text.decode()))) / 5
