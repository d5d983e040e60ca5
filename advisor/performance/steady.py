"""The steady state of continuous batching: which steps alternate, how often, how long."""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.performance.configuration import Configuration, Load
from advisor.performance.step import Constants, step_time
from advisor.performance.work import Batch, step_work

_ROUNDS = 4
"""Rounds until the shares of prefill and decode agree; the map contracts, four leave under 1 %."""
_BUSIEST_PREFILL = 0.9
"""Prefill waits as if never busier than this: beyond it a closed loop throttles itself."""

_GIB = 2.0**30
_DEFAULT_SEQUENCES = {"vllm": 256, "sglang": 4096, "trtllm": 2048}
_LARGE_SEQUENCES = {"vllm": 1024}
_DEFAULT_TOKENS = {"vllm": 2048, "sglang": 8192, "trtllm": 8192}
_LARGE_TOKENS = {"vllm": 8192}


def sequence_limit(c: Configuration) -> float:
    """Most sequences the engine runs over all data-parallel ranks; its default where unset.

    Defaults: vLLM 256, 1024 on parts of 70 GB and more but A100; trtllm-serve 2048; SGLang
    derives its own from memory, so that memory alone limits it here.
    """
    if c.max_sequences is not None:
        return float(c.max_sequences * c.data_parallel)
    large = c.gpu.memory_bytes >= 70 * _GIB and c.gpu.generation != "ampere"
    table = {**_DEFAULT_SEQUENCES, **_LARGE_SEQUENCES} if large else _DEFAULT_SEQUENCES
    return float(table.get(c.engine, 256) * c.data_parallel)


def token_limit(c: Configuration) -> float:
    """Most tokens of one step; the engine's own default where unset."""
    if c.max_batched_tokens is not None:
        return float(c.max_batched_tokens)
    large = c.gpu.memory_bytes >= 70 * _GIB and c.gpu.generation != "ampere"
    table = {**_DEFAULT_TOKENS, **_LARGE_TOKENS} if large else _DEFAULT_TOKENS
    return float(table.get(c.engine, 8192))


@dataclass(frozen=True, slots=True)
class Mix:
    """Plain steps and, a `share` of the time, steps that also carry a prompt chunk."""

    plain: Batch
    mixed: Batch
    share: float
    chunks: int


def mix(c: Configuration, load: Load, decoding: float) -> Mix:
    """Steps of a rank with `decoding` sequences: each finished one brings a prompt (Little)."""
    prompt = max(1.0, load.input_tokens * (1.0 - load.prefix_hit_ratio))
    context = load.input_tokens + load.output_tokens / 2.0
    others = max(0.0, 1.0 - 1.0 / max(load.concurrency, 1.0))
    arriving = others * decoding * prompt / load.output_tokens
    room = max(token_limit(c) - decoding, 256.0)
    chunk = max(arriving, min(prompt, room))
    plain = Batch(decoding, context)
    mixed = Batch(decoding, context, chunk, load.input_tokens)
    return Mix(plain, mixed, arriving / chunk, max(1, math.ceil(prompt / room)))


@dataclass(frozen=True, slots=True)
class Steady:
    """What a settled instance does; `decoding` sequences a rank and pipeline stage."""

    tpot_s: float
    ttft_s: float
    output_tokens_per_s: float
    decoding: float
    mix: Mix


def settle(c: Configuration, load: Load, k: Constants, running: float) -> Steady:
    """The closed loop with `running` sequences in the engine: times and tokens/s that agree.

    A pipeline of p stages runs p micro-batches: a token passes all layers with 1/p of the batch.
    """
    rank = max(running, 1.0) / (c.data_parallel * c.pipeline_parallel)
    decoding = rank
    for _ in range(_ROUNDS):
        steps = mix(c, load, decoding)
        plain_s = step_time(step_work(c, steps.plain), k).total_s
        mixed_s = step_time(step_work(c, steps.mixed), k).total_s
        tpot_s = (1.0 - steps.share) * plain_s + steps.share * mixed_s
        ttft_s = _first_token(steps, plain_s, mixed_s)
        decode_s = max(load.output_tokens - 1.0, 1.0) * tpot_s
        decoding = rank * decode_s / (ttft_s + decode_s)
    tokens_per_s = max(running, 1.0) * load.output_tokens / (ttft_s + decode_s)
    return Steady(tpot_s, ttft_s, tokens_per_s, decoding, steps)


def _first_token(steps: Mix, plain_s: float, mixed_s: float) -> float:
    """Half a step's wait, the prompt's own steps, the queue before them (Pollaczek-Khinchine)."""
    service_s = steps.chunks * mixed_s
    busy = min(steps.share, _BUSIEST_PREFILL)
    return plain_s / 2.0 + service_s + service_s * busy / (2.0 * (1.0 - busy))
