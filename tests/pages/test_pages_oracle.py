"""Readings of every page against prometheus_client's parser and the units and names stated here.

Nothing of the reader under test makes the expected values: the tables below were written from the
engines' and DCGM's documentation, and each row is one signal with its names, newest first.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.read import read, to_json

Key = tuple[str, frozenset[tuple[str, str]]]
Sample = tuple[str, dict[str, str], float]
MIB, NVLINK_MB = 1024.0**2, 1000.0 * 1024


@dataclass(frozen=True)
class Row:
    signal: str
    names: str  # alternatives, separated by spaces
    own: str = ""  # attributes, a=b separated by spaces
    only: tuple[str, ...] = ()  # label, then the values meant
    unit: float = 1.0
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
FINISHES = {"stop", "length", "abort", "error"}


def samples_of(text: str) -> Iterator[Sample]:
    """Every sample that prometheus_client can read, a line at a time: one bad line spoils no other."""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        try:
            (family,) = text_string_to_metric_families(line + "\n")
        except ValueError:
            continue
        (sample,) = family.samples
        yield sample.name, dict(sample.labels), float(sample.value)


def bare(samples: Iterable[Sample]) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by name without the engine's prefix; on a page with a prefix, only those that have it."""
    samples = list(samples)
    prefixed = [s for s in samples if s[0].startswith(PREFIXES)]
    found = defaultdict(list)
    for name, labels, value in prefixed or samples:
        short = next((name[len(p) :] for p in PREFIXES if name.startswith(p)), name)
        found[short].append((labels, value))
    return found


def engine_attributes(labels: dict[str, str], own: str) -> frozenset[tuple[str, str]]:
    found = dict(pair.split("=") for pair in own.split())
    for label, value in labels.items():
        attribute = LABELS.get(label)
        if attribute == "joulewise.finish":
            value = {"cancelled": "abort"}.get(value, value)
            value = value if value in FINISHES else "other"
        if attribute and value != "undefined":
            found.setdefault(attribute, value)
    return frozenset(found.items())


def expected_numbers(
    rows: list[Row], page: dict[str, list[tuple[dict[str, str], float]]]
) -> dict[Key, float]:
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


def expected_histograms(
    families: dict[str, str], page: dict[str, list[tuple[dict[str, str], float]]]
) -> dict[Key, dict]:
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


def expected_capacity(page: dict[str, list[tuple[dict[str, str], float]]]) -> dict[Key, float]:
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


def expected_tensorrt(page: dict[str, list[tuple[dict[str, str], float]]]) -> dict[Key, float]:
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


def expected_engine(engine: str, text: str) -> tuple[dict[Key, float], dict[Key, dict]]:
    page = bare(samples_of(text))
    numbers = expected_numbers(ENGINE_ROWS[engine], page) | expected_capacity(page)
    if engine == "tensorrt-llm":
        numbers |= expected_tensorrt(page)
    return numbers, expected_histograms(HISTOGRAMS[engine], page)


@dataclass(frozen=True)
class Gpu:
    """A DCGM row: `unit` is what one of the page's units is in ours; slices are told apart or not."""

    signal: str
    names: str
    unit: float = 1.0
    own: str = ""
    slices: bool = False
    keep: Callable[[float], bool] = field(default=lambda value: True)


SENT, RECEIVED = "network.io.direction=transmit", "network.io.direction=receive"
GPU_ROWS = [
    Gpu("hw.energy", "DEV_TOTAL_ENERGY_CONSUMPTION dcgm_total_energy_consumption", 1e-3, "hw.type=gpu joulewise.scope=gpu"),
    Gpu("hw.power", "DEV_BOARD_POWER_WATTS DEV_POWER_USAGE dcgm_power_usage DEV_BOARD_POWER_RAW_WATTS DEV_POWER_USAGE_INSTANT", 1, "hw.type=gpu joulewise.scope=gpu"),
    Gpu("joulewise.gpu.power.limit", "DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS DEV_ENFORCED_POWER_LIMIT DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS DEV_POWER_MGMT_LIMIT"),
    Gpu("hw.gpu.utilization", "DEV_GPU_UTIL_RATIO DEV_GPU_UTIL dcgm_gpu_utilization", 1e-2, "hw.gpu.task=general", slices=True),
    Gpu("hw.gpu.memory.usage", "DEV_FB_USED dcgm_fb_used", MIB, slices=True),
    Gpu("hw.gpu.io", "PROF_PCIE_TX_BYTES_TOTAL", 1, SENT),
    Gpu("hw.gpu.io", "PROF_PCIE_RX_BYTES_TOTAL", 1, RECEIVED),
    Gpu("joulewise.gpu.io.rate", "PROF_PCIE_TX_BYTES", 1, SENT),
    Gpu("joulewise.gpu.io.rate", "PROF_PCIE_RX_BYTES", 1, RECEIVED),
    Gpu("joulewise.gpu.io.rate", "DEV_PCIE_TX_THROUGHPUT", 1e3, SENT),
    Gpu("joulewise.gpu.io.rate", "DEV_PCIE_RX_THROUGHPUT", 1e3, RECEIVED),
    Gpu("hw.temperature", "DEV_GPU_TEMP_CELSIUS DEV_GPU_TEMP dcgm_gpu_temp", 1, "hw.sensor_location=gpu"),
    Gpu("hw.temperature", "DEV_MEMORY_TEMP_CELSIUS DEV_MEMORY_TEMP dcgm_memory_temp", 1, "hw.sensor_location=memory", keep=lambda v: v != 0),
    Gpu("hw.errors", "DEV_ECC_SBE_VOL_TOTAL DEV_ECC_SBE_AGG_TOTAL", 1, "hw.type=gpu error.type=corrected"),
    Gpu("hw.errors", "DEV_ECC_DBE_VOL_TOTAL DEV_ECC_DBE_AGG_TOTAL", 1, "hw.type=gpu error.type=uncorrected"),
    Gpu("joulewise.gpu.engine.active", "PROF_GR_ENGINE_UTIL_RATIO PROF_GR_ENGINE_ACTIVE", slices=True),
    Gpu("joulewise.gpu.sm.active", "PROF_SM_UTIL_RATIO PROF_SM_ACTIVE", slices=True),
    Gpu("joulewise.gpu.sm.occupancy", "PROF_SM_OCCUPANCY_RATIO PROF_SM_OCCUPANCY", slices=True),
    Gpu("joulewise.gpu.tensor.active", "PROF_TENSOR_UTIL_RATIO PROF_PIPE_TENSOR_ACTIVE", slices=True),
    Gpu("joulewise.gpu.dram.active", "PROF_DRAM_UTIL_RATIO PROF_DRAM_ACTIVE", slices=True),
    Gpu("joulewise.gpu.clock.sm", "DEV_SM_CLOCK dcgm_sm_clock", 1e6),
    Gpu("joulewise.gpu.clock.memory", "DEV_MEM_CLOCK dcgm_memory_clock", 1e6),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP_NS DEV_POWER_VIOLATION", 1e-9, "joulewise.reason=power_cap"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS DEV_THERMAL_VIOLATION", 1e-9, "joulewise.reason=thermal_sw"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS", 1e-9, "joulewise.reason=thermal_hw"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS", 1e-9, "joulewise.reason=power_brake"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_SYNC_BOOST_NS DEV_SYNC_BOOST_VIOLATION", 1e-9, "joulewise.reason=sync_boost"),
    Gpu("joulewise.gpu.nvlink.io", "DEV_NVLINK_TX_BYTES_TOTAL DEV_NVLINK_COUNT_TX_BYTES", 1, SENT),
    Gpu("joulewise.gpu.nvlink.io", "DEV_NVLINK_RX_BYTES_TOTAL DEV_NVLINK_COUNT_RX_BYTES", 1, RECEIVED),
    Gpu("joulewise.gpu.nvlink.rate", "PROF_NVLINK_TX_BYTES PROF_NVLINK_TX_BYTES_PER_LINK", 1, SENT),
    Gpu("joulewise.gpu.nvlink.rate", "PROF_NVLINK_RX_BYTES PROF_NVLINK_RX_BYTES_PER_LINK", 1, RECEIVED),
    Gpu("joulewise.gpu.nvlink.rate", "DEV_NVLINK_TX_THROUGHPUT_TOTAL DEV_NVLINK_TX_BANDWIDTH_TOTAL DEV_NVLINK_TX_THROUGHPUT_PER_LINK", NVLINK_MB, SENT),
    Gpu("joulewise.gpu.nvlink.rate", "DEV_NVLINK_RX_THROUGHPUT_TOTAL DEV_NVLINK_RX_BANDWIDTH_TOTAL DEV_NVLINK_RX_THROUGHPUT_PER_LINK", NVLINK_MB, RECEIVED),
    Gpu("joulewise.gpu.nvlink.rate", "DEV_NVLINK_THROUGHPUT_TOTAL DEV_NVLINK_BANDWIDTH_TOTAL DEV_NVLINK_THROUGHPUT_PER_LINK dcgm_nvlink_bandwidth_total", NVLINK_MB),
    Gpu("joulewise.gpu.pcie.replays", "DEV_PCIE_REPLAY_TOTAL DEV_PCIE_REPLAY_COUNTER"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_UNCORRECTABLE_TOTAL DEV_UNCORRECTABLE_REMAPPED_ROWS", 1, "error.type=uncorrected joulewise.state=done"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_CORRECTABLE_TOTAL DEV_CORRECTABLE_REMAPPED_ROWS", 1, "error.type=corrected joulewise.state=done"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_PENDING", 1, "joulewise.state=pending"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_FAILED DEV_ROW_REMAP_FAILURE", 1, "joulewise.state=failed"),
]  # fmt: skip
LINK_ERRORS = {
    "crc_flit": "CRC_FLIT_ERROR_TOTAL CRC_FLIT_ERROR_COUNT_TOTAL CRC_FLIT_ERROR_PER_LINK_TOTAL",
    "crc_data": "CRC_DATA_ERROR_TOTAL CRC_DATA_ERROR_COUNT_TOTAL CRC_DATA_ERROR_PER_LINK_TOTAL",
    "replay": "REPLAY_ERROR_TOTAL REPLAY_ERROR_COUNT_TOTAL REPLAY_ERROR_PER_LINK_TOTAL REPLAY_TOTAL ERROR_DL_REPLAY",
    "recovery": "RECOVERY_ERROR_TOTAL RECOVERY_ERROR_COUNT_TOTAL RECOVERY_ERROR_PER_LINK_TOTAL RECOVERY_TOTAL ERROR_DL_RECOVERY RECOVERY_EVENT_TOTAL COUNT_LINK_RECOVERY_EVENTS",
    "recovery_failed": "RECOVERY_FAILED_TOTAL COUNT_LINK_RECOVERY_FAILED_EVENTS",
    "recovery_successful": "RECOVERY_SUCCESSFUL_TOTAL COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS",
    "crc": "CRC_ERROR_TOTAL ERROR_DL_CRC",
    "ecc": "ECC_ERROR_TOTAL ECC_DATA_ERROR_COUNT_TOTAL",
    "rx_malformed": "RX_PACKET_MALFORMED_TOTAL COUNT_RX_MALFORMED_PACKET_ERRORS",
    "rx_overrun": "RX_PACKET_DROPPED_TOTAL COUNT_RX_BUFFER_OVERRUN_ERRORS",
    "rx": "RX_ERROR_TOTAL COUNT_RX_ERRORS",
    "rx_remote": "RX_REMOTE_ERROR_TOTAL COUNT_RX_REMOTE_ERRORS",
    "rx_general": "RX_GENERAL_ERROR_TOTAL COUNT_RX_GENERAL_ERRORS",
    "rx_symbol": "RX_SYMBOL_ERROR_TOTAL COUNT_RX_SYMBOL_ERRORS",
    "integrity": "INTEGRITY_ERROR_TOTAL COUNT_LOCAL_LINK_INTEGRITY_ERRORS",
    "effective": "EFFECTIVE_ERROR_TOTAL COUNT_EFFECTIVE_ERRORS",
    "tx_discard": "COUNT_TX_DISCARDS",
}  # fmt: skip
GPU_ROWS += [
    Gpu("joulewise.gpu.nvlink.errors", " ".join(f"DEV_NVLINK_{n}" for n in names.split()), 1, f"error.type={kind}")
    for kind, names in LINK_ERRORS.items()
]  # fmt: skip
for link in range(18):
    on = f"joulewise.nvlink.link={link}"
    for way, direction in (("TX", SENT), ("RX", RECEIVED)):
        GPU_ROWS += [
            Gpu(
                "joulewise.gpu.nvlink.rate",
                f"PROF_NVLINK_L{link}_{way}_BYTES",
                1,
                f"{direction} {on}",
            ),
            Gpu(
                "joulewise.gpu.nvlink.rate",
                f"DEV_NVLINK_{way}_THROUGHPUT_L{link} DEV_NVLINK_{way}_BANDWIDTH_L{link}",
                NVLINK_MB,
                f"{direction} {on}",
            ),
        ]
    GPU_ROWS.append(
        Gpu(
            "joulewise.gpu.nvlink.rate",
            f"DEV_NVLINK_THROUGHPUT_L{link} DEV_NVLINK_BANDWIDTH_L{link}",
            NVLINK_MB,
            on,
        )
    )
    for kind in ("CRC_FLIT", "CRC_DATA", "REPLAY", "RECOVERY"):
        GPU_ROWS.append(Gpu("joulewise.gpu.nvlink.errors", f"DEV_NVLINK_{kind}_ERROR_L{link}_TOTAL DEV_NVLINK_{kind}_ERROR_COUNT_L{link}", 1, f"error.type={kind.lower()} {on}"))  # fmt: skip
MASK = {
    "power_cap": 0x4,
    "sync_boost": 0x10,
    "thermal_sw": 0x20,
    "thermal_hw": 0x40,
    "power_brake": 0x80,
}
SENTINELS = {*range(0x7FFFFFF0, 0x7FFFFFF4), *range(140737488355328, 140737488355332)}


def is_value(value: float) -> bool:
    return math.isfinite(value) and value < 9.2e18 and value not in SENTINELS


def gpu_pages(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found = defaultdict(list)
    for name, labels, value in samples_of(text):
        found[name.removeprefix("DCGM_FI_")].append((labels, value))
    return found


def gpu_attributes(labels: dict[str, str], own: str, *, slices: bool) -> frozenset[tuple[str, str]]:
    found = dict(pair.split("=") for pair in own.split())
    found["hw.id"] = labels.get("UUID") or labels.get("uuid") or labels.get("gpu_uuid") or ""
    if "nvlink" in labels:
        found["joulewise.nvlink.link"] = labels["nvlink"]
    if slices and labels.get("GPU_I_ID"):
        found["joulewise.mig.slice"] = labels["GPU_I_ID"]
        found["joulewise.mig.profile"] = labels["GPU_I_PROFILE"]
    return frozenset(found.items())


def expected_gpus(text: str) -> dict[Key, float]:
    page = gpu_pages(text)
    expected: dict[Key, float] = {}

    def put(
        signal: str, labels: dict[str, str], own: str, value: float, *, slices: bool = False
    ) -> None:
        pairs = gpu_attributes(labels, own, slices=slices)
        if dict(pairs)["hw.id"]:
            expected.setdefault((signal, pairs), value)

    for row in GPU_ROWS:
        for name in row.names.split():
            whole_first = sorted(page[name], key=lambda sample: bool(sample[0].get("GPU_I_ID")))
            for labels, value in whole_first:
                if is_value(value) and row.keep(value):
                    put(row.signal, labels, row.own, value * row.unit, slices=row.slices)
    for name in ("DEV_XID_ERROR", "DEV_XID_ERRORS", "dcgm_xid_errors"):
        for labels, value in page[name]:
            if is_value(value) and value:
                put("joulewise.gpu.xid", labels, f"joulewise.xid={value:.0f}", 1.0)
    for name in ("DEV_CLOCKS_EVENT_REASONS", "DEV_CLOCK_THROTTLE_REASONS"):
        for labels, value in page[name]:
            if is_value(value):
                mask = int(value)
                for reason, bit in MASK.items():
                    put(
                        "joulewise.gpu.throttle.active",
                        labels,
                        f"joulewise.reason={reason}",
                        float(bool(mask & bit)),
                    )
                other = bool(mask & 0x100) or (mask & 0xC8) == 0x8
                put("joulewise.gpu.throttle.active", labels, "joulewise.reason=other", float(other))
    for labels, value in page["DEV_FB_TOTAL"]:
        put("hw.gpu.memory.limit", labels, "", value * MIB, slices=True)
    parts: dict[frozenset[tuple[str, str]], dict[str, float]] = defaultdict(dict)
    for name in ("DEV_FB_USED", "DEV_FB_FREE", "DEV_FB_RESERVED"):
        for labels, value in page[name]:
            if is_value(value):
                parts[gpu_attributes(labels, "", slices=True)].setdefault(name, value)
    for pairs, sizes in parts.items():
        if len(sizes) == 3:
            expected.setdefault(("hw.gpu.memory.limit", pairs), sum(sizes.values()) * MIB)
    others: dict[frozenset[tuple[str, str]], float] = defaultdict(float)
    for name in ("DEV_BOARD_LIMIT_VIOLATION", "DEV_RELIABILITY_VIOLATION"):
        for labels, value in page[name]:
            others[gpu_attributes(labels, "joulewise.reason=other", slices=False)] += value / 1e9
    expected |= {("joulewise.gpu.throttle.time", pairs): value for pairs, value in others.items()}
    for scope, names in {
        "cpu": ("DEV_CPU_POWER_WATTS", "DEV_CPU_POWER_UTIL_CURRENT"),
        "module": ("DEV_MODULE_POWER_UTIL_CURRENT",),
    }.items():
        watts = [value for name in names for _, value in page[name]]
        if watts:
            expected["hw.host.power", frozenset({("joulewise.scope", scope)})] = sum(watts)
    return without_sums(expected)


def without_sums(expected: dict[Key, float]) -> dict[Key, float]:
    """A rate of both directions says nothing new where each direction is there."""
    directions = {SENT.split("=")[0]}
    directed = {
        frozenset(pair for pair in pairs if pair[0] not in directions)
        for signal, pairs in expected
        if signal.endswith("nvlink.rate") and any(pair[0] in directions for pair in pairs)
    }
    return {
        (signal, pairs): value
        for (signal, pairs), value in expected.items()
        if not (signal.endswith("nvlink.rate") and pairs in directed)
    }


def found_on(page: Path) -> tuple[str, dict[Key, float], dict[Key, dict]]:
    result = read("auto", str(page))
    numbers: dict[Key, float] = {}
    histograms: dict[Key, dict] = {}
    for reading in to_json(result.readings):
        key = (reading["signal"], frozenset(reading["attributes"].items()))
        assert key not in numbers | histograms, "each reading once"
        if reading["kind"] == "histogram":
            histograms[key] = reading["value"]
        elif reading["kind"] != "info":
            numbers[key] = reading["value"]
    return result.program, numbers, histograms


def test_readings_are_what_prometheus_client_and_the_stated_units_say(any_page: Path) -> None:
    program, numbers, histograms = found_on(any_page)
    text = any_page.read_text()
    if program == "dcgm":
        assert numbers == pytest.approx(expected_gpus(text), rel=1e-12)
        assert not histograms
        return
    expected, families = expected_engine(program, text)
    assert numbers == pytest.approx(expected, rel=1e-12)
    assert histograms.keys() == families.keys()
    for key, value in histograms.items():
        bounds = [
            [math.inf if bound == "+Inf" else bound, count] for bound, count in value["buckets"]
        ]
        assert bounds == sorted(map(list, families[key]["buckets"].items()))
        assert value["buckets"][-1][0] == "+Inf"
        assert value["sum"] == pytest.approx(families[key]["sum"], rel=1e-12)
        assert value["count"] == families[key]["count"] == value["buckets"][-1][1]


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


def test_statistics_in_json_are_what_their_keys_say(json_page: Path) -> None:
    _, numbers, _ = found_on(json_page)
    expected = expected_of_json(json.loads(json_page.read_text()))
    assert {signal: value for (signal, _), value in numbers.items()} == pytest.approx(expected)
