"""SGLang, 0.4 to 0.5.23: `GET /metrics`, only with --enable-metrics."""

from __future__ import annotations

from agent.engine import EngineTable, Info, Metric
from agent.engines.words import FINISH

_TOKENS = "joulewise.engine.tokens"
_TYPE = "joulewise.token.type"
_FORWARD = "joulewise.engine.forward_time"
_PHASE = "joulewise.phase"
_IO = "joulewise.engine.memory_io"
_DIRECTION = "network.io.direction"
_MFU = "estimated_flops_per_gpu_total"  # a plain 0 without --enable-mfu-metrics
# Each request counts under the tiers it hit, or, where the engine keeps no tiers, under "total".
_CACHED = ("cached_tokens_total{cache_source!=total}", "cached_tokens_total")


def _forward(phase: str, modes: str) -> Metric:
    names = ("forward_execution_seconds_total", "gpu_execution_seconds_total")
    sources = tuple(f"{name}{{category={modes}}}" for name in names)
    return Metric(_FORWARD, sources, {_PHASE: phase})


SGLANG = EngineTable(
    name="sglang",
    title="SGLang",
    prefixes=("sglang:", "sglang_"),
    labels={
        "model_name": "gen_ai.request.model",
        "name": "gen_ai.request.model",  # 0.3
        "dp_rank": "joulewise.rank.data",
        "tp_rank": "joulewise.rank.tensor",
        "pp_rank": "joulewise.rank.pipeline",
        "moe_ep_rank": "joulewise.rank.expert",
        "worker_id": "joulewise.worker",
    },
    words={"joulewise.finish": FINISH},
    metrics=(
        Metric(_TOKENS, ("prompt_tokens_total",), {_TYPE: "input"}),
        Metric(_TOKENS, _CACHED, {_TYPE: "input_cached"}),
        Metric(
            _TOKENS,
            (
                "realtime_tokens_total{mode=prefill_compute}",
                "prefill_effective_tokens_total{mode=input}",
            ),
            {_TYPE: "input_computed"},
        ),
        Metric(_TOKENS, ("generation_tokens_total",), {_TYPE: "output"}),
        # Finished in whichever way but abort: the engine does not say why.
        Metric(
            "joulewise.engine.requests.finished",
            ("num_requests_total",),
            {"joulewise.finish": "other"},
        ),
        Metric(
            "joulewise.engine.requests.finished",
            ("num_aborted_requests_total",),
            {"joulewise.finish": "abort"},
        ),
        Metric("joulewise.engine.requests.running", ("num_running_reqs",)),
        Metric("joulewise.engine.requests.waiting", ("num_queue_reqs",)),
        Metric("joulewise.engine.kv_cache.used", ("token_usage", "full_token_usage")),
        Metric(
            "joulewise.engine.kv_cache.capacity",
            ("max_total_num_tokens", "num_pages * page_size"),
        ),
        Metric(
            "joulewise.engine.preemptions", ("num_retracted_requests_total", "total_retracted_reqs")
        ),
        Metric("joulewise.engine.prefix_cache.queries", ("prompt_tokens_total",)),
        Metric("joulewise.engine.prefix_cache.hits", _CACHED),
        Metric("joulewise.engine.flops", (_MFU,), only_while=_MFU),
        Metric(_IO, ("estimated_read_bytes_per_gpu_total",), {_DIRECTION: "read"}, only_while=_MFU),
        Metric(
            _IO, ("estimated_write_bytes_per_gpu_total",), {_DIRECTION: "write"}, only_while=_MFU
        ),
        _forward("prefill", "extend|split_prefill|dllm_extend"),
        _forward("decode", "decode|target_verify|draft_extend|draft_extend_v2"),
        _forward("mixed", "mixed"),
        Metric("gen_ai.server.time_to_first_token", ("time_to_first_token_seconds",)),
        Metric(
            "gen_ai.server.time_per_output_token",
            ("request_time_per_output_token_seconds", "time_per_output_token_seconds"),
        ),
        Metric("gen_ai.server.request.duration", ("e2e_request_latency_seconds",)),
        Metric("joulewise.engine.queue.duration", ("queue_time_seconds", "queue_time_s")),
        Metric("joulewise.engine.inter_token.duration", ("inter_token_latency_seconds",)),
        Metric("joulewise.engine.request.input_tokens", ("prompt_tokens_histogram",)),
        Metric("joulewise.engine.request.output_tokens", ("generation_tokens_histogram",)),
    ),
    info=(
        Info(
            "joulewise.model",
            (
                "max_total_num_tokens[model_name]",
                "num_running_reqs[model_name]",
                "num_running_reqs[name]",
            ),
        ),
        Info(
            "joulewise.role", ("max_total_num_tokens[engine_type]", "num_running_reqs[engine_type]")
        ),
        Info("joulewise.max_model_length", ("context_len",)),
        Info("joulewise.kv_cache.block_size", ("page_size",)),
    ),
)
