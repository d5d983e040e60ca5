"""Whether a configuration fits its GPUs, and how many sequences its cache then holds."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.catalog import parameters
from advisor.catalog.precisions import BYTES
from advisor.performance.configuration import Configuration, Load
from advisor.performance.steady import sequence_limit, token_limit
from advisor.performance.work import always_bytes, cache_bytes, cache_shards, expert_gpus

RUNTIME_BYTES = 2e9
"""CUDA context, graphs and workspaces of one GPU; AIConfigurator takes a safe 3.5 GB."""
COLLECTIVE_BYTES = 0.4e9
"""Buffers of collectives where a group has more than one GPU (AIConfigurator: 342-392 MB)."""
ACTIVATION_COPIES = 12.0
"""Live activations in multiples of tokens x hidden x 2 bytes (AIConfigurator: 8 to 20)."""
_RESERVES_ANSWERS = ("trtllm",)
"""Engines that admit a request only with room for its whole answer: GUARANTEED_NO_EVICT."""


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """Bytes are of one GPU, but `kv_bytes_per_token` of the whole model at the load's context.

    `max_concurrency` is what the cache holds over all ranks, the sequence limit aside; `used_bytes`
    is in use at the load's concurrency.
    """

    fits: bool
    weights_bytes: float
    reserved_bytes: float
    cache_bytes: float
    kv_bytes_per_token: float
    max_concurrency: float
    used_bytes: float


def weights_bytes(c: Configuration) -> float:
    """Weights on each GPU: routed experts over the stage, all else over the tensor group."""
    a = c.architecture
    routed = a.moe_layers * a.experts * (parameters.expert(a) if a.experts else 0.0)
    vocabulary = parameters.embedding(a) * (1 if a.tied_embeddings else 2) * BYTES["bf16"]
    shared = (always_bytes(c) + vocabulary) / c.tensor_parallel
    return (shared + routed * BYTES[c.weights] / expert_gpus(c)) / c.pipeline_parallel


def reserved_bytes(c: Configuration) -> float:
    """What weights and cache leave to the runtime, collectives, activations and sampling."""
    a = c.architecture
    activations = token_limit(c) * a.hidden * 2.0 * ACTIVATION_COPIES / c.tensor_parallel
    logits = min(sequence_limit(c) / c.data_parallel, 1024.0) * a.vocabulary * 4.0
    return RUNTIME_BYTES + activations + logits + (COLLECTIVE_BYTES if c.gpus > 1 else 0.0)


def fits(c: Configuration, load: Load) -> MemoryFit:
    """Whether weights and one whole sequence fit, and how many sequences of mean length do.

    A running sequence holds its prompt and, on average, half of its answer; where the scheduler
    reserves room for whole answers, all of it.
    """
    weights, reserved = weights_bytes(c), reserved_bytes(c)
    usable = c.gpu.memory_bytes * c.memory_utilization
    left = max(0.0, usable - weights - reserved)
    shards = cache_shards(c) * c.pipeline_parallel
    answered = 1.0 if c.engine in _RESERVES_ANSWERS else 0.5
    mean_length = max(1.0, load.input_tokens + load.output_tokens * answered)
    mean = cache_bytes(c.architecture, c.kv, mean_length) / shards
    longest = cache_bytes(c.architecture, c.kv, load.input_tokens + load.output_tokens) / shards
    most = left / mean * c.data_parallel
    running = min(max(load.concurrency, 0.0), most)
    return MemoryFit(
        fits=left >= longest,
        weights_bytes=weights,
        reserved_bytes=reserved,
        cache_bytes=left,
        kv_bytes_per_token=mean * shards / mean_length,
        max_concurrency=most,
        used_bytes=weights + reserved + running / c.data_parallel * mean,
    )
