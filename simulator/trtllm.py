"""The /prometheus/metrics page of TensorRT-LLM 1.2: requests, iterations and info gauges."""

from __future__ import annotations

from simulator.board import PARTS
from simulator.instance import Instance
from simulator.sheet import Sheet, label_text

BLOCK_TOKENS = 32

_HISTOGRAMS = (
    ("e2e_request_latency_seconds", "End to end request latency.", "end_to_end"),
    ("time_to_first_token_seconds", "Time to first token.", "first_token"),
    ("time_per_output_token_seconds", "Time per output token.", "per_token"),
    ("request_queue_time_seconds", "Time a request waited.", "queue"),
    ("request_decode_time_seconds", "Time of the generation phase.", "decode"),
    ("request_inference_time_seconds", "Time a request ran.", "inference"),
)
_GAUGES: tuple[tuple[str, str | float], ...] = (
    ("kv_cache_hit_rate", 0.0),
    ("kv_cache_utilization", "kv_used"),
    ("num_requests_running", "running"),
    ("num_requests_waiting", "waiting"),
    ("kv_cache_free_blocks", "free_blocks"),
    ("kv_cache_used_blocks", "used_blocks"),
    ("num_generation_requests", "running"),
    ("num_paused_requests", 0.0),
    ("num_scheduled_requests", "running"),
)
_QUANTIZATION = {"fp8": "FP8", "nvfp4": "NVFP4", "bf16": "None"}


def build(instance: Instance, _started_s: float) -> Sheet:
    """The template of one instance; this page does not say when its engine started."""
    sheet = Sheet(f'engine_type="trtllm",model_name="{instance.curve.model}"')
    sheet.family("counter", "trtllm_request_success_total", "Requests processed.")
    for reason in ("stop", "length"):
        name = "trtllm_request_success_total"
        sheet.sample(name, f"finished_{reason}", labels=f'finished_reason="{reason}"')
    for name, brief, source in _HISTOGRAMS:
        sheet.histogram(f"trtllm_{name}", brief, source)
    for name, slot in (
        ("prompt_tokens_total", "input_tokens"),
        ("generation_tokens_total", "output_tokens"),
        ("num_requests_completed_total", "finished"),
    ):
        sheet.single("counter", f"trtllm_{name}", name.replace("_", " "), slot)
    sheet.single("counter", "trtllm_prompt_cached_tokens_total", "Prompt tokens reused.", 0.0)
    for name, value in (*_GAUGES, *_limits(instance)):
        sheet.single("gauge", f"trtllm_{name}", name.replace("_", " "), value)
    _info(sheet, instance)
    return sheet


def _limits(instance: Instance) -> tuple[tuple[str, float], ...]:
    return (
        ("max_num_active_requests", float(instance.max_sequences)),
        ("max_batch_size_static", float(instance.max_sequences)),
        ("max_batch_size_runtime", float(instance.max_sequences)),
        ("max_num_tokens_runtime", float(instance.max_batched_tokens)),
        ("kv_cache_max_blocks", float(instance.kv_capacity_tokens // BLOCK_TOKENS)),
        ("kv_cache_tokens_per_block", float(BLOCK_TOKENS)),
    )


def _info(sheet: Sheet, instance: Instance) -> None:
    curve = instance.curve
    infos: dict[str, dict[str, object]] = {
        "model_config_info": {
            "dtype": "auto",
            "gpu_type": PARTS[curve.gpu].product,
            "max_model_len": instance.served.max_model_length,
            "model": curve.model,
            "quantization": _QUANTIZATION[curve.weights],
            "served_model_name": curve.model,
        },
        "parallel_config_info": {
            "context_parallel_size": 1,
            "expert_parallel_size": curve.expert_parallel,
            "gpu_count": curve.n_gpus,
            "pipeline_parallel_size": 1,
            "tensor_parallel_size": curve.tensor_parallel,
        },
        "kv_cache_config_info": {
            "cache_dtype": "auto",
            "enable_block_reuse": True,
            "enable_partial_reuse": True,
            "free_gpu_memory_fraction": instance.memory_utilization,
            "page_size": BLOCK_TOKENS,
        },
    }
    for name, settings in infos.items():
        sheet.family("gauge", f"trtllm_{name}", name.replace("_", " "))
        sheet.sample(f"trtllm_{name}", 1.0, labels=label_text(settings))
