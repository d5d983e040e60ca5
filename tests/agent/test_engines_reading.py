"""How a table over an engine's page is read: alternatives, formulas, ranks, zeroes that mean nothing."""

from __future__ import annotations

import pytest

from agent.engine import EngineTable, Info, Metric, json_page, page_info, parse_formula, read_engine
from agent.engines import ENGINES, find_engine
from agent.page import PageReader
from agent.vocabulary import RANK_ATTRIBUTES, SIGNALS, Histogram


def read(table: EngineTable, text: str) -> dict[tuple[str, ...], float | Histogram]:
    page = PageReader(table.names).read(text.encode())
    return {
        (r.signal, *(f"{name}={value}" for name, value in r.attributes)): r.value
        for r in read_engine(table, page)
    }


def table_of(*metrics: Metric, labels: dict[str, str] | None = None) -> EngineTable:
    return EngineTable("toy", "Toy", ("toy:", "toy_"), labels or {}, metrics)


RUNNING, PREEMPTED = "joulewise.engine.requests.running", "joulewise.engine.preemptions"


def test_the_newest_name_on_the_page_stands() -> None:
    table = table_of(Metric(RUNNING, ("new", "old")))
    assert read(table, "toy:old 1\ntoy:new 2\n") == {(RUNNING,): 2.0}
    assert read(table, "toy:old 1\n") == {(RUNNING,): 1.0}
    assert read(table, "toy:new NaN\ntoy:old 1\n") == {(RUNNING,): 1.0}


def test_every_prefix_is_taken_and_a_counter_may_lack_its_suffix() -> None:
    table = table_of(Metric(PREEMPTED, ("thrown_out_total",)))
    for name in ("toy:thrown_out_total", "toy_thrown_out_total", "toy_thrown_out"):
        assert read(table, f"{name} 3\n") == {(PREEMPTED,): 3.0}


def test_series_that_differ_in_dropped_labels_are_one() -> None:
    table = table_of(Metric(PREEMPTED, ("lost_total",)), Metric(RUNNING, ("live",)))
    text = 'toy:lost_total{pid="1"} 3\ntoy:lost_total{pid="2"} 4\ntoy:live{pid="1"} 3\ntoy:live{pid="2"} 4\n'
    assert read(table, text) == {(PREEMPTED,): 7.0, (RUNNING,): 4.0}


def test_ranks_stay_apart() -> None:
    table = table_of(Metric(RUNNING, ("live",)), labels={"rank": "joulewise.rank.data"})
    assert read(table, 'toy:live{rank="0"} 3\ntoy:live{rank="1"} 4\n') == {
        (RUNNING, "joulewise.rank.data=0"): 3.0,
        (RUNNING, "joulewise.rank.data=1"): 4.0,
    }


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1"])
def test_what_is_no_number_or_below_zero_is_absent(value: str) -> None:
    assert not read(table_of(Metric(RUNNING, ("live",))), f"toy:live {value}\n")


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("a + b * c", 20.0),
        ("a - b", None),
        ("b - a", 1.0),
        ("a / c", 0.5),
        ("a / zero", None),
        ("a + missing", None),
        ("a[size]", 16.0),
        ("a[size] * b", 48.0),
        ("a[name]", None),
        ("a{name=x}", 2.0),
        ("a{name=y|X}", 2.0),
        ("a{name!=x}", None),
        ("a{name!=y}", 2.0),
    ],
)
def test_formulas_are_worked_out_from_left_to_right(formula: str, value: float | None) -> None:
    text = 'toy:a{size="16",name="x"} 2\ntoy:b 3\ntoy:c 4\ntoy:zero 0\n'
    found = read(table_of(Metric(RUNNING, (formula,))), text)
    assert found == ({} if value is None else {(RUNNING,): value})


@pytest.mark.parametrize("formula", ["a b", "a %  b", "", "a{b} + c", "a + + b", "a +"])
def test_a_formula_that_is_none_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"formula|longer|shorter"):
        parse_formula(formula)


def test_a_counter_that_is_switched_off_is_absent() -> None:
    table = table_of(Metric("joulewise.engine.flops", ("flops_total",), only_while="flops_total"))
    assert not read(table, 'toy:flops_total{e="0"} 0\ntoy:flops_total{e="1"} 0\n')
    assert read(table, "toy:flops_total 5\n") == {("joulewise.engine.flops",): 5.0}


def test_histograms_that_differ_in_dropped_labels_add_up() -> None:
    table = table_of(Metric("joulewise.engine.queue.duration", ("wait",)))
    text = "".join(
        f'toy:wait_bucket{{s="{s}",le="1"}} 2\ntoy:wait_bucket{{s="{s}",le="+Inf"}} 3\n'
        f'toy:wait_sum{{s="{s}"}} 4\ntoy:wait_count{{s="{s}"}} 3\n'
        for s in ("a", "b")
    )
    (histogram,) = read(table, text).values()
    assert histogram == Histogram(((1.0, 4.0), (float("inf"), 6.0)), 8.0, 6.0)


def test_of_histograms_with_other_buckets_the_fullest_stands() -> None:
    table = table_of(Metric("joulewise.engine.queue.duration", ("wait",)))
    text = "".join(
        f'toy:wait_bucket{{s="{n}",le="{n}"}} 1\ntoy:wait_bucket{{s="{n}",le="+Inf"}} {n}\n'
        f'toy:wait_sum{{s="{n}"}} 4\ntoy:wait_count{{s="{n}"}} {n}\n'
        for n in (2, 5, 3)
    )
    (histogram,) = read(table, text).values()
    assert isinstance(histogram, Histogram)
    assert histogram.count == 5.0


def test_a_gauge_that_looks_like_a_histogram_is_left_alone() -> None:
    text = 'sglang:routing_key_running_req_count{gt="0",le="1"} 2\nsglang:num_running_reqs 3\n'
    assert read(ENGINES["sglang"], text) == {(RUNNING,): 3.0}


def test_a_histogram_named_like_a_counter_is_a_histogram() -> None:
    text = "".join(
        f"vllm:iteration_tokens_total_{line}\n"
        for line in ('bucket{le="1"} 0', 'bucket{le="+Inf"} 2', "sum 9", "count 2")
    )
    (histogram,) = read(ENGINES["vllm"], text).values()
    assert isinstance(histogram, Histogram)


def test_finish_reasons_have_our_words() -> None:
    reasons = ("stop", "length", "abort", "error", "repetition", "timeout")
    text = "".join(f'vllm:request_success_total{{finished_reason="{r}"}} 1\n' for r in reasons)
    found = {key[1].split("=")[1]: value for key, value in read(ENGINES["vllm"], text).items()}
    assert found == {"stop": 1.0, "length": 1.0, "abort": 1.0, "error": 1.0, "other": 2.0}


def test_sglang_cached_tokens_are_not_counted_twice() -> None:
    tiers = 'sglang:cached_tokens_total{cache_source="device"} 5\nsglang:cached_tokens_total{cache_source="host"} 2\n'
    total = 'sglang:cached_tokens_total{cache_source="total"} 7\n'
    for text in (tiers, total, tiers + total):
        assert read(ENGINES["sglang"], text)["joulewise.engine.prefix_cache.hits",] == 7.0


def test_a_priority_does_not_count_twice() -> None:
    text = 'sglang:num_running_reqs{priority=""} 9\nsglang:num_running_reqs{priority="1"} 4\n'
    assert read(ENGINES["sglang"], text) == {(RUNNING,): 9.0}


def test_a_model_name_that_says_nothing_is_left_out() -> None:
    text = 'num_requests_running{model_name="undefined"} 1\n'
    assert read(ENGINES["tensorrt-llm"], text) == {(RUNNING,): 1.0}


def test_what_a_page_says_of_the_configuration() -> None:
    table = EngineTable(
        "toy",
        "Toy",
        ("toy:",),
        {},
        (),
        (
            Info("joulewise.max_sequences", ("limit",)),
            Info("joulewise.precision.kv", ("config[dtype]",), {"fp8_e4m3": "fp8"}),
            Info("joulewise.features", ("config[prefix]",), {"true": "prefix_caching"}),
            Info("joulewise.features", ("config[spec]",), {"true": "speculative_decoding"}),
            Info("joulewise.max_model_length", ("config[length]",)),
        ),
    )
    text = (
        b'toy:config{dtype="FP8_E4M3",prefix="True",spec="True",length="None"} 1\ntoy:limit 256\n'
    )
    assert page_info(table, PageReader(table.names).read(text)) == {
        "joulewise.engine.name": "toy",
        "joulewise.features": "prefix_caching,speculative_decoding",
        "joulewise.max_sequences": "256",
        "joulewise.precision.kv": "fp8",
    }
    assert page_info(table, PageReader(table.names).read(b"")) == {}


@pytest.mark.parametrize(
    "text",
    ["nothing", "[1, 2]", '"text"', "[" * 100_000, "{", '[{"a":1},', "null", "12"],
)
def test_what_is_no_statistics_in_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        json_page(text.encode())


def test_numbers_of_any_size_are_taken_from_json() -> None:
    page = json_page(
        b'[{"a": 1%s, "b": true, "c": {"d": 2, "e": {"f": 3}}, "g": NaN}]' % (b"0" * 400)
    )
    assert {s.key: v for s in page for _, v in page.samples(s.key) if v == v} == {
        "a": float("inf"),
        "c.d": 2.0,
    }


@pytest.mark.parametrize("alias", ["trtllm", "tensorrt_llm", "TRT-LLM", "TensorRT-LLM"])
def test_an_engine_is_found_by_an_alias(alias: str) -> None:
    assert find_engine(alias) is ENGINES["tensorrt-llm"]
    assert find_engine("abacus") is None


@pytest.mark.parametrize("table", ENGINES.values(), ids=ENGINES)
def test_tables_name_only_what_the_vocabulary_has(table: EngineTable) -> None:
    attributes = {*RANK_ATTRIBUTES, "joulewise.finish"}
    assert set(table.labels.values()) <= attributes
    for metric in table.metrics:
        assert set(metric.attributes) <= set(SIGNALS[metric.signal].attributes)
    for info in table.info:
        assert info.attribute in SIGNALS["joulewise.instance.info"].attributes
