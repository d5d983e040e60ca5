"""TensorRT-LLM since 1.0: `/prometheus/metrics`, and the JSON of `/metrics` and `/energy_metrics`.

The Prometheus page needs return_perf_metrics; its levels and the JSON statistics need
enable_iter_perf_stats. Reading the JSON empties it: only one reader gets each iteration.
"""

from __future__ import annotations

from agent.engine import EngineTable, Info, Metric
from agent.engines.words import FINISH, KV_PRECISION, WEIGHT_PRECISION, YES

_TOKENS = "joulewise.engine.tokens"
_TYPE = "joulewise.token.type"
_DRAFTED = "joulewise.engine.draft_tokens"
_REUSED = "kv_cache_reused_blocks_total"
_PER_BLOCK = "kv_cache_tokens_per_block"
_KV = "kvCacheStats"  # of the JSON

TENSORRT_LLM = EngineTable(
    name="tensorrt-llm",
    title="TensorRT-LLM",
    prefixes=("trtllm_", "trtllm:", ""),  # 1.0 and 1.1 have none
    labels={
        "model_name": "gen_ai.request.model",
        "dp_rank": "joulewise.rank.data",
        "worker_id": "joulewise.worker",
        "finished_reason": "joulewise.finish",
        "finish_reason": "joulewise.finish",
    },
    words={"joulewise.finish": FINISH},
    metrics=(
        Metric(_TOKENS, ("prompt_tokens_total",), {_TYPE: "input"}),
        Metric(_TOKENS, ("prompt_cached_tokens_total",), {_TYPE: "input_cached"}),
        Metric(
            _TOKENS,
            ("prompt_tokens_total - prompt_cached_tokens_total",),
            {_TYPE: "input_computed"},
        ),
        Metric(_TOKENS, ("generation_tokens_total",), {_TYPE: "output"}),
        Metric("joulewise.engine.requests.finished", ("request_success_total",)),
        Metric(
            "joulewise.engine.requests.finished",
            ("request_error_total",),
            {"joulewise.finish": "error"},
        ),
        Metric(
            "joulewise.engine.requests.running",
            ("num_requests_running", "num_active_requests", "numActiveRequests"),
        ),
        Metric(
            "joulewise.engine.requests.waiting",
            ("num_requests_waiting", "server_queue_length", "numQueuedRequests"),
        ),
        Metric(
            "joulewise.engine.kv_cache.used",
            (
                "kv_cache_utilization",
                "kv_cache_used_blocks / kv_cache_max_blocks",
                f"{_KV}.usedNumBlocks / {_KV}.maxNumBlocks",
            ),
        ),
        Metric(
            "joulewise.engine.kv_cache.capacity",
            (
                f"kv_cache_max_blocks * {_PER_BLOCK}",
                f"{_KV}.maxNumBlocks * {_KV}.tokensPerBlock",
            ),
        ),
        Metric(
            "joulewise.engine.prefix_cache.queries",
            (
                f"{_REUSED} + kv_cache_missed_blocks_total * {_PER_BLOCK}",
                f"{_KV}.reusedBlocks + {_KV}.missedBlocks * {_KV}.tokensPerBlock",
            ),
        ),
        Metric(
            "joulewise.engine.prefix_cache.hits",
            (
                f"{_REUSED} * {_PER_BLOCK}",
                f"{_KV}.reusedBlocks * {_KV}.tokensPerBlock",
            ),
        ),
        Metric(
            _DRAFTED,
            ("spec_decode_num_draft_tokens_total", "spec_decode_drafted_tokens_total"),
            {"joulewise.state": "proposed"},
        ),
        Metric(
            _DRAFTED,
            ("spec_decode_num_accepted_tokens_total", "spec_decode_accepted_tokens_total"),
            {"joulewise.state": "accepted"},
        ),
        Metric("joulewise.engine.energy", ("total_energy_j",)),
        Metric("gen_ai.server.time_to_first_token", ("time_to_first_token_seconds",)),
        Metric("gen_ai.server.time_per_output_token", ("time_per_output_token_seconds",)),
        Metric("gen_ai.server.request.duration", ("e2e_request_latency_seconds",)),
        Metric("joulewise.engine.queue.duration", ("request_queue_time_seconds",)),
    ),
    info=(
        Info(
            "joulewise.model",
            ("model_config_info[served_model_name]", "model_config_info[model]"),
        ),
        Info(
            "joulewise.precision.weights",
            ("model_config_info[quantization]", "model_config_info[dtype]"),
            WEIGHT_PRECISION,
        ),
        Info("joulewise.precision.kv", ("kv_cache_config_info[cache_dtype]",), KV_PRECISION),
        Info("joulewise.parallel.tensor", ("parallel_config_info[tensor_parallel_size]",)),
        Info("joulewise.parallel.pipeline", ("parallel_config_info[pipeline_parallel_size]",)),
        Info("joulewise.parallel.expert", ("parallel_config_info[expert_parallel_size]",)),
        Info("joulewise.max_sequences", ("max_batch_size_runtime", "maxBatchSizeRuntime")),
        Info("joulewise.max_batched_tokens", ("max_num_tokens_runtime", "maxNumTokensRuntime")),
        Info("joulewise.max_model_length", ("model_config_info[max_model_len]",)),
        Info(
            "joulewise.kv_cache.block_size",
            (
                "kv_cache_tokens_per_block",
                "kv_cache_config_info[page_size]",
                f"{_KV}.tokensPerBlock",
            ),
        ),
        Info(
            "joulewise.features",
            ("kv_cache_config_info[enable_block_reuse]",),
            dict.fromkeys(YES, "prefix_caching"),
        ),
        Info(
            "joulewise.features",
            ("speculative_config_info[spec_enabled]",),
            dict.fromkeys(YES, "speculative_decoding"),
        ),
    ),
)
