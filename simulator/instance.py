"""One simulated serving instance: model, curve, limits and demand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from simulator.curves import Curve, Floats
from simulator.demand import Demand, Lengths
from simulator.tally import BUCKETS, SLICES, Tally


@dataclass(frozen=True)
class Served:
    """A model as it lies in memory: bytes of all weights, KV bytes a token, longest context.

    Weights: parameters times bytes by precision. KV: two vectors a layer and KV head, or the
    latent, in BF16. `experts` are those a layer has and those a token uses; None for a dense model.
    """

    family: str
    weights_bytes: float
    kv_bytes_per_token: float
    max_model_length: int
    active_parameters: float
    layers: int
    hidden: int
    experts: tuple[int, int] | None = None


GPU_MEMORY_BYTES = {"H100": 81_559 * 2**20, "B200": 183_359 * 2**20}
"""Framebuffer as nvidia-smi reports it."""

_ENGINE_RESERVE_BYTES = 4e9
"""Activations, graphs and communication buffers a GPU (aiconfigurator's systems files: 3.9 GB)."""

_LLAMA_70B = Served("llama-70b", 141.2e9, 327_680, 32_768, 70.6e9, 80, 8192)
_LLAMA_8B = Served("llama-8b", 16.1e9, 131_072, 32_768, 8.0e9, 32, 4096)
_GPT_OSS = Served("gpt-oss-120b", 65.2e9, 36_864, 131_072, 5.1e9, 36, 2880, (128, 4))
_QWEN3 = Served("qwen3-235b-a22b", 470e9, 192_512, 32_768, 22e9, 94, 4096, (128, 8))
_DEEPSEEK = Served("deepseek-r1", 688e9, 70_272, 32_768, 37e9, 61, 7168, (256, 8))

SERVED: dict[tuple[str, str], Served] = {
    ("llama-70b", "bf16"): _LLAMA_70B,
    ("llama-8b", "bf16"): _LLAMA_8B,
    ("gpt-oss-120b", "mxfp4"): _GPT_OSS,
    ("qwen3-235b-a22b", "bf16"): _QWEN3,
    ("qwen3-235b-a22b", "fp8"): replace(_QWEN3, weights_bytes=236e9),
    ("deepseek-r1", "fp8"): _DEEPSEEK,
    ("deepseek-r1", "nvfp4"): replace(_DEEPSEEK, weights_bytes=394e9),
}
"""Models by family and precision of weights (shapes from their published configurations)."""


@dataclass(frozen=True)
class Instance:
    """An instance on some GPUs of its node. `max_sequences` is the engine's own batch limit."""

    id: str
    port: int
    gpu_indices: tuple[int, ...]
    curve: Curve
    served: Served
    lengths: Lengths
    demand: Demand
    max_sequences: int
    max_batched_tokens: int
    memory_utilization: float
    engine_version: str
    features: tuple[str, ...] = field(default=("prefix_caching", "chunked_prefill"))

    @cached_property
    def kv_capacity_tokens(self) -> int:
        """Tokens the KV cache holds: what weights and buffers leave of the granted memory.

        Where the measured engine ran out of it, no more than it held then.
        """
        gpus = len(self.gpu_indices)
        granted = GPU_MEMORY_BYTES[self.curve.gpu] * self.memory_utilization - _ENGINE_RESERVE_BYTES
        tokens = (granted * gpus - self.served.weights_bytes) / self.served.kv_bytes_per_token
        if self.curve.starved:
            tokens = min(tokens, self.curve.largest_batch * self.lengths.held_mean)
        return int(tokens)

    @cached_property
    def batch_limit(self) -> int:
        """Most requests that run at once: by the engine's limit, KV cache and what was measured."""
        by_memory = int(self.kv_capacity_tokens / self.lengths.held_mean)
        return max(min(self.max_sequences, by_memory, self.curve.largest_batch), 1)

    @cached_property
    def tokens_per_s(self) -> Floats:
        """Output tokens/s by running requests, 0 to the batch limit."""
        return self.curve.throughput(np.arange(self.batch_limit + 1.0))

    @cached_property
    def power_w(self) -> Floats:
        """Watts of one GPU by running requests."""
        return self.curve.power(np.arange(self.batch_limit + 1.0))

    @cached_property
    def token_time_s(self) -> Floats:
        """Seconds a token by running requests."""
        return self.curve.token_time_s(np.arange(self.batch_limit + 1.0))

    @cached_property
    def first_token_s(self) -> Floats:
        """Seconds from admission to the first token by running requests."""
        running = np.arange(self.batch_limit + 1.0)
        return self.curve.first_token_s(running, self.lengths.input_mean)

    @cached_property
    def inter_token_shares(self) -> Floats:
        """Share of tokens by running requests and inter-token bucket."""
        bounds = np.array(BUCKETS["inter_token"])
        return np.array(
            [_shares(self.curve.step_quantiles_s(n), bounds) for n in range(self.batch_limit + 1)]
        )


def count_steps(tally: Tally, instance: Instance, tokens_at: Floats) -> None:
    """Count inter-token times and steps of `tokens_at[n]` output tokens made with n running."""
    tally.counts[SLICES["inter_token"]] += tokens_at @ instance.inter_token_shares
    tally.sums["inter_token"] += float(tokens_at @ instance.token_time_s)
    running = np.arange(1, len(tokens_at))
    steps = tokens_at[1:] / running
    found = np.searchsorted(BUCKETS["step_tokens"], running)
    buckets = len(BUCKETS["step_tokens"]) + 1
    tally.counts[SLICES["step_tokens"]] += np.bincount(found, weights=steps, minlength=buckets)
    tally.sums["step_tokens"] += float(tokens_at.sum())


def _shares(quantiles: tuple[float, float, float], bounds: Floats) -> Floats:
    """Bucket shares of a distribution known by three percentiles, log-linear between them."""
    median, ninety, ninety_nine = quantiles
    at = np.log(
        [median * 0.8, median, max(ninety, median * 1.001), max(ninety_nine, ninety) * 1.01]
    )
    below = np.interp(np.log(bounds), at, [0.0, 0.5, 0.9, 1.0], left=0.0, right=1.0)
    return np.diff(below, prepend=0.0, append=1.0)
