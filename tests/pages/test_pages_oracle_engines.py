"""Readings of engines' pages against prometheus_client's parser and the units and names stated here.

Nothing of the reader under test makes the expected values: the rows below were written
from the engines' documentation, each one signal with its names, newest first.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

Pairs = frozenset[tuple[str, str]]
Key = tuple[str, Pairs]
Sample = tuple[str, dict[str, str], float]
Page = dict[str, list[tuple[dict[str, str], float]]]


@dataclass(frozen=True)
class Row:
    signal: str
    names: str  # alternatives, separated by spaces
    own: str = ""  # attributes, a=b separated by spaces
    only: tuple[str, ...] = ()  # label, then the values meant
    level: bool = False
    nonzero: str = ""  # a counter that must have moved


ENGINE_ROWS = {
    "vllm": [
        Row("joulewise.engine.tokens", "prompt_tokens_total", "joulewise.token.type=input"),
        Row("joulewise.engine.tokens", "prompt_tokens_cached_total prompt_tokens_by_source_total", "joulewise.token.type=input_cached", ("source", "local_cache_hit", "external_kv_transfer")),
        Row("joulewise.engine.tokens", "prompt_tokens_by_source_total", "joulewise.token.type=input_computed", ("source", "local_compute")),
        Row("joulewise.engine.tokens", "generation_tokens_total", "joulewise.token.type=output"),
        Row("joulewise.engine.requests.finished", "request_success_total"),
        Row("joulewise.engine.requests.running", "num_requests_running", level=True),
        Row("joulewise.engine.requests.waiting", "num_requests_waiting", level=True),
        Row("joulewise.engine.kv_cache.used", "kv_cache_usage_perc gpu_cache_usage_perc", level=True),
        Row("joulewise.engine.preemptions", "num_preemptions_total"),
        Row("joulewise.engine.prefix_cache.queries", "prefix_cache_queries_total gpu_prefix_cache_queries_total"),
        Row("joulewise.engine.prefix_cache.hits", "prefix_cache_hits_total gpu_prefix_cache_hits_total"),
        Row("joulewise.engine.draft_tokens", "spec_decode_num_draft_tokens_total", "joulewise.state=proposed"),
        Row("joulewise.engine.draft_tokens", "spec_decode_num_accepted_tokens_total", "joulewise.state=accepted"),
        Row("joulewise.engine.flops", "estimated_flops_per_gpu_total", nonzero="estimated_flops_per_gpu_total"),
        Row("joulewise.engine.memory_io", "estimated_read_bytes_per_gpu_total", "network.io.direction=read", nonzero="estimated_flops_per_gpu_total"),
        Row("joulewise.engine.memory_io", "estimated_write_bytes_per_gpu_total", "network.io.direction=write", nonzero="estimated_flops_per_gpu_total"),
    ],
    "sglang": [
        Row("joulewise.engine.tokens", "prompt_tokens_total", "joulewise.token.type=input"),
        Row("joulewise.engine.tokens", "cached_tokens_total", "joulewise.token.type=input_cached"),
        Row("joulewise.engine.tokens", "realtime_tokens_total prefill_effective_tokens_total", "joulewise.token.type=input_computed", ("mode", "prefill_compute", "input")),
        Row("joulewise.engine.tokens", "generation_tokens_total", "joulewise.token.type=output"),
        Row("joulewise.engine.requests.finished", "num_requests_total", "joulewise.finish=other"),
        Row("joulewise.engine.requests.finished", "num_aborted_requests_total", "joulewise.finish=abort"),
        Row("joulewise.engine.requests.running", "num_running_reqs", level=True),
        Row("joulewise.engine.requests.waiting", "num_queue_reqs", level=True),
        Row("joulewise.engine.kv_cache.used", "token_usage full_token_usage", level=True),
        Row("joulewise.engine.preemptions", "num_retracted_requests_total total_retracted_reqs"),
        Row("joulewise.engine.prefix_cache.queries", "prompt_tokens_total"),
        Row("joulewise.engine.prefix_cache.hits", "cached_tokens_total"),
        Row("joulewise.engine.flops", "estimated_flops_per_gpu_total", nonzero="estimated_flops_per_gpu_total"),
        Row("joulewise.engine.memory_io", "estimated_read_bytes_per_gpu_total", "network.io.direction=read", nonzero="estimated_flops_per_gpu_total"),
        Row("joulewise.engine.memory_io", "estimated_write_bytes_per_gpu_total", "network.io.direction=write", nonzero="estimated_flops_per_gpu_total"),
        Row("joulewise.engine.forward_time", "forward_execution_seconds_total gpu_execution_seconds_total", "joulewise.phase=prefill", ("category", "extend")),
        Row("joulewise.engine.forward_time", "forward_execution_seconds_total gpu_execution_seconds_total", "joulewise.phase=decode", ("category", "decode", "target_verify")),
        Row("joulewise.engine.forward_time", "forward_execution_seconds_total gpu_execution_seconds_total", "joulewise.phase=mixed", ("category", "mixed")),
    ],
    "tensorrt-llm": [
        Row("joulewise.engine.tokens", "prompt_tokens_total", "joulewise.token.type=input"),
        Row("joulewise.engine.tokens", "prompt_cached_tokens_total", "joulewise.token.type=input_cached"),
        Row("joulewise.engine.tokens", "generation_tokens_total", "joulewise.token.type=output"),
        Row("joulewise.engine.requests.finished", "request_success_total"),
        Row("joulewise.engine.requests.finished", "request_error_total", "joulewise.finish=error"),
        Row("joulewise.engine.requests.running", "num_requests_running num_active_requests", level=True),
        Row("joulewise.engine.requests.waiting", "num_requests_waiting server_queue_length", level=True),
        Row("joulewise.engine.draft_tokens", "spec_decode_num_draft_tokens_total spec_decode_drafted_tokens_total", "joulewise.state=proposed"),
        Row("joulewise.engine.draft_tokens", "spec_decode_num_accepted_tokens_total spec_decode_accepted_tokens_total", "joulewise.state=accepted"),
    ],
}  # fmt: skip
HISTOGRAMS = {
    "vllm": {
        "gen_ai.server.time_to_first_token": "time_to_first_token_seconds",
        "gen_ai.server.time_per_output_token": "request_time_per_output_token_seconds time_per_output_token_seconds",
        "gen_ai.server.request.duration": "e2e_request_latency_seconds",
        "joulewise.engine.queue.duration": "request_queue_time_seconds time_in_queue_requests",
        "joulewise.engine.inter_token.duration": "inter_token_latency_seconds",
        "joulewise.engine.request.input_tokens": "request_prompt_tokens",
        "joulewise.engine.request.output_tokens": "request_generation_tokens",
        "joulewise.engine.step.tokens": "iteration_tokens_total",
    },
    "sglang": {
        "gen_ai.server.time_to_first_token": "time_to_first_token_seconds",
        "gen_ai.server.time_per_output_token": "request_time_per_output_token_seconds time_per_output_token_seconds",
        "gen_ai.server.request.duration": "e2e_request_latency_seconds",
        "joulewise.engine.queue.duration": "queue_time_seconds queue_time_s",
        "joulewise.engine.inter_token.duration": "inter_token_latency_seconds",
        "joulewise.engine.request.input_tokens": "prompt_tokens_histogram",
        "joulewise.engine.request.output_tokens": "generation_tokens_histogram",
    },
    "tensorrt-llm": {
        "gen_ai.server.time_to_first_token": "time_to_first_token_seconds",
        "gen_ai.server.time_per_output_token": "time_per_output_token_seconds",
        "gen_ai.server.request.duration": "e2e_request_latency_seconds",
        "joulewise.engine.queue.duration": "request_queue_time_seconds",
    },
}
PREFIXES = ("ray_vllm_", "vllm:", "sglang:", "trtllm_", "trtllm:")
LABELS = {
    "model_name": "gen_ai.request.model",
    "model": "gen_ai.request.model",
    "name": "gen_ai.request.model",
    "engine": "joulewise.rank.data",
    "dp_rank": "joulewise.rank.data",
    "tp_rank": "joulewise.rank.tensor",
    "pp_rank": "joulewise.rank.pipeline",
    "moe_ep_rank": "joulewise.rank.expert",
    "ReplicaId": "joulewise.worker",
    "worker_id": "joulewise.worker",
    "finished_reason": "joulewise.finish",
    "finish_reason": "joulewise.finish",
}
FINISHES = {
    "stop": "stop",
    "length": "length",
    "abort": "abort",
    "cancelled": "abort",
    "error": "error",
}


def bare(samples: list[Sample]) -> Page:
    """Samples by name without the engine's prefix; on a page with a prefix, only those that have it."""
    prefixed = [s for s in samples if s[0].startswith(PREFIXES)]
    found = defaultdict(list)
    for name, labels, value in prefixed or samples:
        short = next((name[len(p) :] for p in PREFIXES if name.startswith(p)), name)
        found[short].append((labels, value))
    return found


def engine_attributes(labels: dict[str, str], own: str) -> frozenset[tuple[str, str]]:
    found = dict(pair.split("=") for pair in own.split())
    for label, said in labels.items():
        attribute = LABELS.get(label)
        value = FINISHES.get(said, "other") if attribute == "joulewise.finish" else said
        if attribute and value != "undefined":
            found.setdefault(attribute, value)
    return frozenset(found.items())


def expected_numbers(rows: list[Row], page: Page) -> dict[Key, float]:
    expected: dict[Key, float] = {}
    for row in rows:
        if row.nonzero and not any(value for _, value in page[row.nonzero]):
            continue
        for name in row.names.split():
            found: dict[Key, float] = {}
            for labels, value in page[name]:
                if row.only and labels.get(row.only[0], row.only[1]) not in row.only[1:]:
                    continue
                if math.isfinite(value) and value >= 0:
                    key = (row.signal, engine_attributes(labels, row.own))
                    merged = max if row.level else lambda a, b: a + b
                    found[key] = merged(found[key], value) if key in found else value
            if found:
                expected |= found
                break
    return expected


def expected_histograms(families: dict[str, str], page: Page) -> dict[Key, dict]:
    expected: dict[Key, dict] = {}
    for signal, names in families.items():
        name = next((n for n in names.split() if page[n + "_bucket"]), None)
        if name is None:
            continue
        for suffix in ("bucket", "sum", "count"):
            for labels, value in page[f"{name}_{suffix}"]:
                key = (
                    signal,
                    engine_attributes({k: v for k, v in labels.items() if k != "le"}, ""),
                )
                entry = expected.setdefault(
                    key, {"buckets": defaultdict(float), "sum": 0.0, "count": 0.0}
                )
                if suffix == "bucket":
                    entry["buckets"][float(labels["le"])] += value
                else:
                    entry[suffix] += value
    return expected


def expected_capacity(page: Page) -> dict[Key, float]:
    """KV capacity in tokens: said outright, or blocks times tokens a block."""
    signal = "joulewise.engine.kv_cache.capacity"
    found: dict[Key, float] = {}
    for labels, _ in page["cache_config_info"]:
        said = labels.get("kv_cache_size_tokens", "None")
        tokens = (
            float(said)
            if said != "None"
            else float(labels["num_gpu_blocks"]) * float(labels["block_size"])
        )
        found[signal, engine_attributes(labels, "")] = tokens
    for labels, value in page["max_total_num_tokens"]:
        found[signal, engine_attributes(labels, "")] = value
    for blocks, size in (
        ("num_pages", "page_size"),
        ("kv_cache_max_blocks", "kv_cache_tokens_per_block"),
    ):
        for labels, value in page[blocks]:
            found.setdefault((signal, engine_attributes(labels, "")), value * page[size][0][1])
    return found


def expected_tensorrt(page: Page) -> dict[Key, float]:
    """What TensorRT-LLM says only in parts: prompt less cached, blocks times tokens a block."""
    one = {name: values[0] for name, values in page.items() if values}
    found: dict[Key, float] = {}

    def put(signal: str, like: str, value: float, own: str = "") -> None:
        found[signal, engine_attributes(one[like][0], own)] = value

    if "prompt_cached_tokens_total" in one:
        computed = one["prompt_tokens_total"][1] - one["prompt_cached_tokens_total"][1]
        put(
            "joulewise.engine.tokens",
            "prompt_tokens_total",
            computed,
            "joulewise.token.type=input_computed",
        )
    if "kv_cache_utilization" in one:
        put(
            "joulewise.engine.kv_cache.used", "kv_cache_utilization", one["kv_cache_utilization"][1]
        )
    elif "kv_cache_used_blocks" in one:
        used = one["kv_cache_used_blocks"][1] / one["kv_cache_max_blocks"][1]
        put("joulewise.engine.kv_cache.used", "kv_cache_used_blocks", used)
    if "kv_cache_reused_blocks_total" in one:
        per_block = one["kv_cache_tokens_per_block"][1]
        hits, misses = (
            one["kv_cache_reused_blocks_total"][1],
            one["kv_cache_missed_blocks_total"][1],
        )
        put("joulewise.engine.prefix_cache.hits", "kv_cache_reused_blocks_total", hits * per_block)
        put(
            "joulewise.engine.prefix_cache.queries",
            "kv_cache_reused_blocks_total",
            (hits + misses) * per_block,
        )
    return found


def test_readings_are_what_prometheus_client_and_the_stated_names_say(
    engine_page: Path, samples: list[Sample], numbers: dict[Key, float]
) -> None:
    engine, page = engine_of(engine_page), bare(samples)
    expected = expected_numbers(ENGINE_ROWS[engine], page) | expected_capacity(page)
    if engine == "tensorrt-llm":
        expected |= expected_tensorrt(page)
    assert numbers == pytest.approx(expected, rel=1e-12)


def test_histograms_are_what_prometheus_client_says(
    engine_page: Path, samples: list[Sample], histograms: dict[Key, dict]
) -> None:
    families = expected_histograms(HISTOGRAMS[engine_of(engine_page)], bare(samples))
    assert histograms.keys() == families.keys()
    for key, value in histograms.items():
        *finite, last = value["buckets"]
        assert last == ["+Inf", value["count"]]
        bounds = [*finite, [math.inf, last[1]]]
        assert bounds == sorted(map(list, families[key]["buckets"].items()))
        assert value["sum"] == pytest.approx(families[key]["sum"], rel=1e-12)
        assert value["count"] == families[key]["count"]


def engine_of(page: Path) -> str:
    name = page.name.split("_")[0]
    return {"tensorrt": "tensorrt-llm", "trtllm": "tensorrt-llm"}.get(name, name)


def expected_of_json(document: object) -> dict[str, float]:
    """TensorRT-LLM's statistics by hand: the newest iteration, or joules since the engine started."""
    if isinstance(document, dict):
        return {"joulewise.engine.energy": document["total_energy_j"]}
    if not document:
        return {}
    newest = document[-1]
    kv = newest["kvCacheStats"]
    expected = {
        "joulewise.engine.requests.running": newest["numActiveRequests"],
        "joulewise.engine.kv_cache.used": kv["usedNumBlocks"] / kv["maxNumBlocks"],
        "joulewise.engine.kv_cache.capacity": kv["maxNumBlocks"] * kv["tokensPerBlock"],
        "joulewise.engine.prefix_cache.hits": kv["reusedBlocks"] * kv["tokensPerBlock"],
        "joulewise.engine.prefix_cache.queries": (kv["reusedBlocks"] + kv["missedBlocks"])
        * kv["tokensPerBlock"],
    }
    if "numQueuedRequests" in newest:
        expected["joulewise.engine.requests.waiting"] = newest["numQueuedRequests"]
    return expected


def test_statistics_in_json_are_what_their_keys_say(
    json_page: Path, numbers: dict[Key, float]
) -> None:
    expected = expected_of_json(json.loads(json_page.read_text()))
    assert {signal: value for (signal, _), value in numbers.items()} == pytest.approx(expected)
