"""The short names that rules may use: what each says of an instance, all of them numbers."""

# ruff: noqa: E501  one line a fact

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from advisor.catalog.precisions import BYTES, supported_kv, supported_weights
from advisor.score.attainable import Attainable
from advisor.score.measure import ratio
from advisor.score.situation import Situation

Say = Callable[[Situation, Attainable | None], float | None]


@dataclass(frozen=True, slots=True)
class Fact:
    """One short name: its unit, what it says, and how it is found. None is absence."""

    name: str
    unit: str
    brief: str
    of: Say


def _limit(s: Situation) -> float | None:
    limit = s.instance.max_sequences
    return None if limit is None else float(limit * (s.instance.data_parallel or 1))


def _kv_used(s: Situation) -> float | None:
    """KV use while busy: idle time holds no cache."""
    return ratio(s.measured.kv_used_mean, s.measured.busy_ratio)


def _bits(word: str | None) -> float | None:
    return None if word is None or word not in BYTES else BYTES[word] * 8.0


def _capability(s: Situation) -> float | None:
    return float(s.gpu.compute_capability) if s.gpu else None


def _offers(s: Situation, word: str) -> float | None:
    c = s.configuration
    if c is None:
        return None
    return float(word in supported_weights(c.gpu, c.architecture, c.engine))


def _offers_kv(s: Situation, word: str) -> float | None:
    c = s.configuration
    return float(word in supported_kv(c.gpu, c.engine)) if c else None


def _context(s: Situation) -> float | None:
    inputs, outputs = s.measured.input_tokens_mean, s.measured.output_tokens_mean
    return None if inputs is None or outputs is None else inputs + outputs


def _load_factor(s: Situation, a: Attainable | None) -> float | None:
    capacity = a.capacity_tokens_per_s if a else None
    return ratio(s.measured.busy_output_tokens_per_s, capacity)


_ALL = (
    Fact("hours", "h", "hours observed with the live configuration", lambda s, _: s.workload.hours),
    Fact("busy", "1", "share of time with requests running", lambda s, _: s.measured.busy_ratio),
    Fact("idle", "1", "share of time without", lambda s, _: _rest(s.measured.busy_ratio)),
    Fact("running", "{request}", "requests running, mean while busy", lambda s, _: s.measured.running_mean_busy),
    Fact("waiting", "{request}", "requests waiting, mean", lambda s, _: s.measured.waiting_mean),
    Fact("max_sequences", "{request}", "the engine's batch limit, all ranks", lambda s, _: _limit(s)),
    Fact("saturated", "1", "share of time with a queue", lambda s, _: s.measured.saturated_ratio),
    Fact("saturated_sequences", "1", "share of time the batch limit held requests back", lambda s, _: s.workload.saturated_sequences),
    Fact("saturated_kv", "1", "share of time the KV cache held requests back", lambda s, _: s.workload.saturated_kv_cache),
    Fact("kv_used", "1", "KV-cache use, mean while busy", lambda s, _: _kv_used(s)),
    Fact("kv_used_max", "1", "highest KV-cache use", lambda s, _: s.measured.kv_used_max),
    Fact("tokens_per_s", "{token}/s", "output tokens/s while busy", lambda s, _: s.measured.busy_output_tokens_per_s),
    Fact("tokens_per_s_p95", "{token}/s", "output tokens/s of the busiest hours (p95)", lambda s, _: s.workload.tokens_per_s_p95),
    Fact("load_factor", "1", "tokens/s over what memory and latency limit allow", _load_factor),
    Fact("ttft_p95", "s", "time to first token, 95th percentile", lambda s, _: s.measured.ttft_p95_s),
    Fact("tpot_p95", "s", "time per output token, 95th percentile", lambda s, _: s.measured.tpot_p95_s),
    Fact("ttft_limit", "s", "the limit of ttft_p95", lambda s, _: s.objective.ttft_p95_s),
    Fact("tpot_limit", "s", "the limit of tpot_p95", lambda s, _: s.objective.tpot_p95_s),
    Fact("slo", "1", "share of requests inside both limits", lambda s, _: s.measured.slo_ratio),
    Fact("context", "{token}", "prompt and answer together, mean", lambda s, _: _context(s)),
    Fact("gpus", "{gpu}", "GPUs of the instance", lambda s, _: float(len(s.instance.gpu_ids)) or None),
    Fact("tensor", "{gpu}", "tensor-parallel size", lambda s, _: float(s.configuration.tensor_parallel) if s.configuration else None),
    Fact("weight_bits", "bit", "bits a weight", lambda s, _: _bits(s.configuration.weights if s.configuration else None)),
    Fact("kv_bits", "bit", "bits a KV-cache value", lambda s, _: _bits(s.configuration.kv if s.configuration else None)),
    Fact("capability", "1", "compute capability of the GPU: 9.0 Hopper, 10.0 Blackwell", lambda s, _: _capability(s)),
    Fact("experts", "{expert}", "routed experts a layer; 0 for a dense model", lambda s, _: float(s.architecture.experts) if s.architecture else None),
    Fact("offers_fp8", "1", "1 where GPU, model and engine share FP8 weights", lambda s, _: _offers(s, "fp8")),
    Fact("offers_nvfp4", "1", "1 where GPU, model and engine share NVFP4 weights", lambda s, _: _offers(s, "nvfp4")),
    Fact("offers_fp8_kv", "1", "1 where GPU and engine share an FP8 KV cache", lambda s, _: _offers_kv(s, "fp8")),
    Fact("idle_power", "W", "watts a GPU while no request runs", lambda s, _: s.measured.idle_power_w),
    Fact("usd_per_gpu_hour", "USD/h", "price of a GPU-hour", lambda s, _: s.usd_per_gpu_hour),
)  # fmt: skip


def _rest(share: float | None) -> float | None:
    return None if share is None else 1.0 - share


FACTS: Mapping[str, Fact] = {fact.name: fact for fact in _ALL}
"""Every short name a rule may use."""


def facts_of(situation: Situation, attainable: Attainable | None) -> dict[str, float]:
    """All facts that are known of an instance."""
    found = {name: fact.of(situation, attainable) for name, fact in FACTS.items()}
    return {name: float(value) for name, value in found.items() if value is not None}
