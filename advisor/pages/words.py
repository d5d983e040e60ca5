"""Words and units as pages and mail say them: one table for each kind of name."""

from __future__ import annotations

from collections.abc import Callable

from advisor.pages import numbers
from advisor.performance.effect import Evidence, Interval

DIAGNOSIS = {
    "memory_bandwidth": "memory bandwidth",
    "kv_capacity": "KV capacity",
    "telemetry_fault": "telemetry fault",
    "unknown_workload": "unknown workload",
}
"""Diagnoses whose word is not their name."""
DIMENSION = {
    "scale": "Scale and complexity",
    "multidimensional": "Multidimensional performance",
    "architecture": "Architecture and software",
    "roi": "Return on investment",
    "ecosystem": "Technology ecosystem",
}
LETTER = {
    "scale": "S",
    "multidimensional": "M",
    "architecture": "A",
    "roi": "R",
    "ecosystem": "T",
}
ENGINE = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "trtllm": "TensorRT-LLM",
    "tensorrt_llm": "TensorRT-LLM",
}
EVIDENCE_MARK = {
    Evidence.MEASURED: "●",
    Evidence.INTERPOLATED: "◐",
    Evidence.EXTRAPOLATED: "○",
    Evidence.ASSUMED: "◌",
}
LEVER = {
    "precision": "precision",
    "batch": "batch",
    "parallelism": "parallelism",
    "consolidation": "consolidation",
}
STATE = {"no_effect": "no effect"}
QUANTITY: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "output_tokens_per_s": ("Output tokens/s", numbers.significant),
    "ttft_s": ("TTFT", numbers.milliseconds),
    "tpot_s": ("TPOT", numbers.milliseconds),
    "power_w": ("Watts a GPU", numbers.watts),
    "joules_per_output_token_gpu": ("J/output token", numbers.significant),
    "usd_per_million_output_tokens": ("$/1M output tokens", numbers.usd),
}
"""Quantities of an effect: how they are called and written."""


def diagnosis(word: str) -> str:
    """A diagnosis in one or two words."""
    return DIAGNOSIS.get(word, word.replace("_", " "))


def engine(name: str) -> str:
    """An engine as its makers write it."""
    return ENGINE.get(name, name)


def quantity(name: str) -> str:
    """A quantity's label."""
    return QUANTITY[name][0] if name in QUANTITY else name.replace("_", " ")


def written(name: str, value: float | None) -> str:
    """A quantity's value as people read it."""
    return QUANTITY.get(name, ("", numbers.significant))[1](value)


def written_interval(name: str, interval: Interval | None) -> str:
    """An interval as low to high."""
    if interval is None:
        return numbers.ABSENT
    return f"{written(name, interval.low)} to {written(name, interval.high)}"


def saving(interval: Interval | None) -> str:
    """A monthly change of cost as a saving: $450 to $1.9k a month."""
    if interval is None:
        return "not priced"
    low, high = sorted((-interval.low, -interval.high))
    least, most = numbers.usd(low, 2), numbers.usd(high, 2)
    return least if least == most else f"{least} to {most}"
