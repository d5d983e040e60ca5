"""What one engine step asks of one GPU, as seconds at peak rates; formulas in docs/model.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.catalog import parameters
from advisor.catalog.gpus import GpuType
from advisor.catalog.models import Architecture
from advisor.catalog.precisions import BYTES, attention_precision, flops_per_s
from advisor.performance.configuration import Configuration

STATE_BYTES = 4.0
"""Bytes of a recurrent state's value: Mamba2 and Gated DeltaNet keep it in FP32."""
ACTIVATION_BYTES = 2.0
"""Bytes of an activation on a link: 16 bits."""
NETWORK_BYTES_PER_S = 50e9
"""One direction a GPU beyond its NVLink domain: 400 Gb/s InfiniBand."""
PCIE_SHARE = 0.5
"""Share of its PCIe rate a GPU keeps when all of a group talk through host bridges at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step holds a data-parallel rank: decoding sequences, prompt tokens, lengths."""

    sequences: float
    context: float
    prompt_tokens: float = 0.0
    prompt_context: float = 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """One step on one GPU: seconds at peak bandwidth, arithmetic and link rate, and counts.

    Fields are floats, or arrays of one entry a row where many steps are timed at once.
    """

    weight_memory_s: float
    weight_compute_s: float
    expert_memory_s: float
    expert_compute_s: float
    cache_memory_s: float
    attention_compute_s: float
    link_s: float
    collectives: float
    layers: float
    moe_layers: float
    sequences: float


def covered_experts(a: Architecture, tokens: float) -> float:
    """Distinct experts a layer that `tokens` tokens reach under uniform routing."""
    if not a.experts:
        return 0.0
    return float(a.experts * (1.0 - (1.0 - a.experts_per_token / a.experts) ** tokens))


def cache_bytes_per_token(a: Architecture, kv: str) -> float:
    """Bytes a token adds to the whole model's cache in one layer that keeps it."""
    values = a.mla_kv_rank + a.mla_rope_dim if a.mla_kv_rank else 2 * a.kv_heads * a.head_dim
    return values * BYTES[kv]


def cache_bytes(a: Architecture, kv: str, context: float) -> float:
    """Bytes of one sequence's cache and constant state at `context` tokens, over all layers."""
    tokens = a.full_attention_layers * context + a.window_layers * min(context, a.window)
    return cache_bytes_per_token(a, kv) * tokens + a.linear_layers * a.linear_state * STATE_BYTES


def cache_shards(c: Configuration) -> int:
    """Over how many tensor ranks the cache is split: latent caches are kept whole on each."""
    a = c.architecture
    return 1 if a.mla_kv_rank else min(c.tensor_parallel, a.kv_heads)


def always_bytes(c: Configuration) -> float:
    """Bytes of the weights every token passes, head excluded, before any split."""
    a = c.architecture
    mixers = parameters.attention_layers(a) * parameters.attention(a)
    mixers += a.linear_layers * a.linear_parameters
    rest = a.dense_ffn_layers * parameters.dense_ffn(a) + a.moe_layers * parameters.shared_expert(a)
    shared = attention_precision(a, c.weights) if c.weights == "mxfp4" else c.weights
    return mixers * BYTES[attention_precision(a, c.weights)] + rest * BYTES[shared]


def expert_gpus(c: Configuration) -> int:
    """GPUs of one pipeline stage: routed experts are split over all of them."""
    return c.tensor_parallel * (c.data_parallel if c.architecture.experts else 1)


def _link(gpu: GpuType, gpus: int) -> tuple[float, float]:
    """Bytes/s one way between this many GPUs, and hops: a tree's depth, longer off NVLink."""
    depth = math.log2(gpus)
    if gpu.nvlink_bytes_per_s and gpus <= gpu.nvlink_domain:
        return gpu.nvlink_bytes_per_s, depth
    if gpus <= max(8, gpu.nvlink_domain):
        return gpu.pcie_bytes_per_s * PCIE_SHARE, 3.0 * depth
    return NETWORK_BYTES_PER_S, 5.0 * depth


def _communication(c: Configuration, tokens: float) -> tuple[float, float]:
    """Seconds on the link and hops of a step: all-reduce in a tensor group, else exchange."""
    a = c.architecture
    message = tokens * a.hidden * ACTIVATION_BYTES
    seconds, count = 0.0, 0.0
    if c.tensor_parallel > 1:
        rate, slower = _link(c.gpu, c.tensor_parallel)
        operations = 2.0 * a.layers if _paired(a) else float(a.layers)
        share = 2.0 * (c.tensor_parallel - 1) / c.tensor_parallel
        seconds += operations * share * message / rate
        count += operations * slower
    if a.experts and c.data_parallel > 1:
        gpus = expert_gpus(c)
        rate, slower = _link(c.gpu, gpus)
        remote = min(a.experts_per_token, gpus) * (gpus - 1) / gpus
        seconds += 2.0 * a.moe_layers * remote * message / c.tensor_parallel / rate
        count += 2.0 * a.moe_layers * slower
    return seconds, count


def _paired(a: Architecture) -> bool:
    """Whether each layer mixes and feeds forward; hybrids count these as layers of their own."""
    return a.dense_ffn_layers + a.moe_layers >= a.layers


def _attention_flops(a: Architecture, batch: Batch) -> float:
    """FLOPs of scores and values: decode reads its context, a prompt half of its own."""
    width = a.heads * (2 * a.mla_kv_rank + a.mla_rope_dim if a.mla_kv_rank else 2 * a.head_dim)
    prompt_width = a.heads * (
        a.mla_nope_dim + a.mla_rope_dim + a.mla_v_dim if a.mla_kv_rank else 2 * a.head_dim
    )

    def reach(context: float) -> float:
        return a.full_attention_layers * context + a.window_layers * min(context, a.window)

    decode = batch.sequences * width * reach(batch.context)
    return 2.0 * (decode + batch.prompt_tokens * prompt_width * reach(batch.prompt_context / 2.0))


def step_work(c: Configuration, batch: Batch) -> Work:
    """One step of `batch` on each GPU of a data-parallel rank, pipeline stages summed."""
    a, gpu = c.architecture, c.gpu
    tokens = batch.sequences + batch.prompt_tokens
    everyone = tokens * c.data_parallel if a.experts else tokens
    tensor, experts_over = c.tensor_parallel, expert_gpus(c)
    head = parameters.embedding(a)
    bandwidth, peak = gpu.bandwidth_bytes_per_s, flops_per_s(gpu, c.weights)
    peak_bf16 = flops_per_s(gpu, "bf16")
    peak_mixers = flops_per_s(gpu, attention_precision(a, c.weights))
    link_s, collectives = _communication(c, tokens)
    expert_bytes = parameters.expert(a) * BYTES[c.weights] if a.experts else 0.0
    rewritten = a.linear_layers * a.linear_state * STATE_BYTES
    read = cache_bytes(a, c.kv, batch.context) + rewritten
    cache = batch.sequences * read / cache_shards(c)
    return Work(
        weight_memory_s=(always_bytes(c) + head * BYTES["bf16"]) / tensor / bandwidth,
        weight_compute_s=2.0 * tokens * parameters.always(a) / tensor / peak_mixers
        + 2.0 * batch.sequences * head / tensor / peak_bf16,
        expert_memory_s=a.moe_layers
        * covered_experts(a, everyone)
        * expert_bytes
        / experts_over
        / bandwidth,
        expert_compute_s=2.0
        * everyone
        * a.moe_layers
        * a.experts_per_token
        * (parameters.expert(a) if a.experts else 0.0)
        / experts_over
        / peak,
        cache_memory_s=cache / bandwidth,
        attention_compute_s=_attention_flops(a, batch) / tensor / peak_bf16,
        link_s=link_s,
        collectives=collectives,
        layers=float(a.layers),
        moe_layers=float(a.moe_layers),
        sequences=batch.sequences,
    )
