"""The /metrics page of vLLM 0.33: what its scheduler and its requests count."""

from __future__ import annotations

from simulator.instance import Instance
from simulator.sheet import Sheet, label_text

BLOCK_TOKENS = 16

_HISTOGRAMS = (
    ("request_prompt_tokens", "Prompt tokens of a request.", "input_tokens"),
    ("request_generation_tokens", "Generated tokens of a request.", "output_tokens"),
    ("iteration_tokens_total", "Tokens in an engine step.", "step_tokens"),
    ("time_to_first_token_seconds", "Time to first token in seconds.", "first_token"),
    ("inter_token_latency_seconds", "Inter-token latency in seconds.", "inter_token"),
    ("request_time_per_output_token_seconds", "Mean time per output token.", "per_token"),
    ("e2e_request_latency_seconds", "End to end request latency in seconds.", "end_to_end"),
    ("request_queue_time_seconds", "Time a request waited.", "queue"),
    ("request_inference_time_seconds", "Time a request ran.", "inference"),
    ("request_prefill_time_seconds", "Time of the prefill phase.", "prefill"),
    ("request_decode_time_seconds", "Time of the decode phase.", "decode"),
)
_ZEROS = (
    "prefix_cache_hits",
    "external_prefix_cache_queries",
    "external_prefix_cache_hits",
    "mm_cache_queries",
    "mm_cache_hits",
    "prompt_tokens_cached",
)


def build(instance: Instance, started_s: float) -> Sheet:
    """The template of one instance whose engine started at Unix time `started_s`."""
    sheet = Sheet()
    sheet.single("gauge", "process_start_time_seconds", "Start of the process.", started_s)
    sheet.single("counter", "process_cpu_seconds_total", "CPU of the process.", "cpu_s")
    sheet.common = f'engine="0",model_name="{instance.curve.model}"'
    _scheduler(sheet)
    _tokens(sheet)
    for name, brief, source in _HISTOGRAMS:
        sheet.histogram(f"vllm:{name}", brief, source)
    _cache(sheet, instance)
    return sheet


def _scheduler(sheet: Sheet) -> None:
    sheet.single("gauge", "vllm:num_requests_running", "Requests in execution.", "running")
    sheet.single("gauge", "vllm:num_requests_waiting", "Requests waiting.", "waiting")
    name = "vllm:num_requests_waiting_by_reason"
    sheet.family("gauge", name, "Requests waiting, by reason.")
    sheet.sample(name, "waiting", labels='reason="capacity"')
    sheet.sample(name, 0.0, labels='reason="deferred"')
    sheet.single("gauge", "vllm:kv_cache_usage_perc", "KV-cache usage, 1 is full.", "kv_used")
    sheet.single("counter", "vllm:num_preemptions_total", "Preemptions.", "preemptions")
    name = "vllm:request_success_total"
    sheet.family("counter", name, "Requests finished.")
    ends: dict[str, str | float] = {
        "stop": "finished_stop",
        "length": "finished_length",
        "abort": 0.0,
        "error": 0.0,
    }
    for reason, slot in ends.items():
        sheet.sample(name, slot, labels=f'finished_reason="{reason}"')


def _tokens(sheet: Sheet) -> None:
    sheet.single("counter", "vllm:prompt_tokens_total", "Prefill tokens.", "input_tokens")
    sheet.single("counter", "vllm:generation_tokens_total", "Generation tokens.", "output_tokens")
    sheet.single("counter", "vllm:prefix_cache_queries_total", "Tokens asked.", "input_tokens")
    for name in _ZEROS:
        sheet.single("counter", f"vllm:{name}_total", "Tokens, none here.", 0.0)
    name = "vllm:prompt_tokens_by_source_total"
    sheet.family("counter", name, "Prompt tokens by source.")
    sheet.sample(name, "input_tokens", labels='source="local_compute"')
    sheet.sample(name, 0.0, labels='source="local_cache_hit"')
    sheet.sample(name, 0.0, labels='source="external_kv_transfer"')


def _cache(sheet: Sheet, instance: Instance) -> None:
    settings = {
        "block_size": BLOCK_TOKENS,
        "cache_dtype": "auto",
        "enable_prefix_caching": True,
        "gpu_memory_utilization": instance.memory_utilization,
        "num_cpu_blocks": None,
        "num_gpu_blocks": instance.kv_capacity_tokens // BLOCK_TOKENS,
        "num_gpu_blocks_override": None,
        "sliding_window": None,
    }
    sheet.family("gauge", "vllm:cache_config_info", "Configuration of the KV cache.")
    sheet.sample("vllm:cache_config_info", 1.0, labels=label_text(settings))
