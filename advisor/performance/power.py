"""Watts of a GPU from what a settled instance keeps busy: a law fitted to measured watts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from advisor.performance.configuration import Configuration
from advisor.performance.fit import PowerLaw
from advisor.performance.steady import Steady
from advisor.performance.work import Batch, step_work

_LEAST, _MOST = 0.15, 1.0
"""Share of TDP that serving draws: between an idle context and the limit."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Shares of time at peak rate, memory and arithmetic; `batch` is log2 of sequences a GPU."""

    memory: float
    compute: float
    batch: float


def activity(c: Configuration, steady: Steady) -> Activity:
    """How busy memory and arithmetic are over plain and mixed steps."""
    memory_s = compute_s = 0.0
    steps: tuple[tuple[float, Batch], ...] = (
        (1.0 - steady.mix.share, steady.mix.plain),
        (steady.mix.share, steady.mix.mixed),
    )
    for share, batch in steps:
        work = step_work(c, batch)
        memory_s += share * (work.weight_memory_s + work.expert_memory_s + work.cache_memory_s)
        compute_s += share * (
            work.weight_compute_s + work.expert_compute_s + work.attention_compute_s
        )
    per_gpu = steady.decoding * c.data_parallel * c.pipeline_parallel / c.gpus
    return Activity(
        memory=memory_s / steady.tpot_s,
        compute=compute_s / steady.tpot_s,
        batch=math.log2(max(per_gpu, 0.125)),
    )


def watts(c: Configuration, busy: Activity, law: PowerLaw) -> float:
    """Watts of one GPU under this activity."""
    log_share = (
        law.intercept
        + law.memory * busy.memory
        + law.compute * busy.compute
        + law.batch * busy.batch
    )
    return c.gpu.tdp_w * min(max(math.exp(log_share), _LEAST), _MOST)
