"""vLLM, 0.6 (V0) to 0.33: `GET /metrics`, on by default; through Ray Serve and Dynamo as well."""

from __future__ import annotations

from agent.engine import EngineTable, Info, Metric
from agent.engines.words import FINISH, KV_PRECISION, YES

_TOKENS = "joulewise.engine.tokens"
_TYPE = "joulewise.token.type"
_DRAFTED = "joulewise.engine.draft_tokens"
_IO = "joulewise.engine.memory_io"
_DIRECTION = "network.io.direction"
_MFU = "estimated_flops_per_gpu_total"  # a plain 0 without --enable-mfu-metrics
_CACHE = "cache_config_info"

VLLM = EngineTable(
    name="vllm",
    title="vLLM",
    prefixes=("vllm:", "vllm_", "ray_vllm_", "ray_vllm:"),
    labels={
        "model_name": "gen_ai.request.model",
        "model": "gen_ai.request.model",
        "engine": "joulewise.rank.data",
        "dp_rank": "joulewise.rank.data",
        "ReplicaId": "joulewise.worker",
        "WorkerId": "joulewise.worker",
        "worker_id": "joulewise.worker",
        "finished_reason": "joulewise.finish",
    },
    words={"joulewise.finish": FINISH},
    metrics=(
        Metric(_TOKENS, ("prompt_tokens_total",), {_TYPE: "input"}),
        Metric(
            _TOKENS,
            (
                "prompt_tokens_cached_total",
                "prompt_tokens_by_source_total{source=local_cache_hit|external_kv_transfer}",
            ),
            {_TYPE: "input_cached"},
        ),
        Metric(
            _TOKENS,
            ("prompt_tokens_by_source_total{source=local_compute}",),
            {_TYPE: "input_computed"},
        ),
        Metric(_TOKENS, ("generation_tokens_total",), {_TYPE: "output"}),
        Metric("joulewise.engine.requests.finished", ("request_success_total",)),
        Metric("joulewise.engine.requests.running", ("num_requests_running",)),
        Metric("joulewise.engine.requests.waiting", ("num_requests_waiting",)),
        Metric("joulewise.engine.kv_cache.used", ("kv_cache_usage_perc", "gpu_cache_usage_perc")),
        Metric(
            "joulewise.engine.kv_cache.capacity",
            (f"{_CACHE}[kv_cache_size_tokens]", f"{_CACHE}[num_gpu_blocks] * {_CACHE}[block_size]"),
        ),
        Metric("joulewise.engine.preemptions", ("num_preemptions_total",)),
        Metric(
            "joulewise.engine.prefix_cache.queries",
            ("prefix_cache_queries_total", "gpu_prefix_cache_queries_total"),
        ),
        Metric(
            "joulewise.engine.prefix_cache.hits",
            ("prefix_cache_hits_total", "gpu_prefix_cache_hits_total"),
        ),
        Metric(_DRAFTED, ("spec_decode_num_draft_tokens_total",), {"joulewise.state": "proposed"}),
        Metric(
            _DRAFTED, ("spec_decode_num_accepted_tokens_total",), {"joulewise.state": "accepted"}
        ),
        Metric("joulewise.engine.flops", (_MFU,), only_while=_MFU),
        Metric(_IO, ("estimated_read_bytes_per_gpu_total",), {_DIRECTION: "read"}, only_while=_MFU),
        Metric(
            _IO, ("estimated_write_bytes_per_gpu_total",), {_DIRECTION: "write"}, only_while=_MFU
        ),
        Metric("gen_ai.server.time_to_first_token", ("time_to_first_token_seconds",)),
        Metric(
            "gen_ai.server.time_per_output_token",
            ("request_time_per_output_token_seconds", "time_per_output_token_seconds"),
        ),
        Metric("gen_ai.server.request.duration", ("e2e_request_latency_seconds",)),
        Metric(
            "joulewise.engine.queue.duration",
            ("request_queue_time_seconds", "time_in_queue_requests"),
        ),
        Metric("joulewise.engine.inter_token.duration", ("inter_token_latency_seconds",)),
        Metric("joulewise.engine.request.input_tokens", ("request_prompt_tokens",)),
        Metric("joulewise.engine.request.output_tokens", ("request_generation_tokens",)),
        Metric("joulewise.engine.step.tokens", ("iteration_tokens_total",)),  # a histogram
    ),
    info=(
        Info(
            "joulewise.model", ("num_requests_running[model_name]", "num_requests_running[model]")
        ),
        Info("joulewise.precision.kv", (f"{_CACHE}[cache_dtype]",), KV_PRECISION),
        Info("joulewise.memory_utilization", (f"{_CACHE}[gpu_memory_utilization]",)),
        Info("joulewise.kv_cache.block_size", (f"{_CACHE}[block_size]",)),
        Info(
            "joulewise.features",
            (f"{_CACHE}[enable_prefix_caching]",),
            dict.fromkeys(YES, "prefix_caching"),
        ),
    ),
)
