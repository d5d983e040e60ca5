"""A rule's record: published pairs of measurements, pooled with what the model predicts."""

from __future__ import annotations

from collections.abc import Mapping

from advisor.advise.intervals import deviation, pooled
from advisor.advise.rules import Record, Rule, holds
from advisor.performance.effect import Interval

ARCHITECTURE_ALLOWANCE = 0.08
"""Spread of a record for an architecture outside it, divided by the root of how many it holds: the
medians of FP8 to NVFP4 over models and GPUs run from 1.28 to 1.55 in the silicon sample."""
LOAD_ALLOWANCE = 0.36
"""Spread of a record measured at saturation for an instance that is not: the medians of BF16 to FP8
over prompt and answer lengths run from 1.52 to 2.17 in the TensorRT-LLM overview."""


def pooled_rate(
    rule: Rule, predicted: Interval, facts: Mapping[str, float]
) -> tuple[Interval, dict[str, str]]:
    """Tokens/s after over before: the model's ratio, pooled with the rule's published pairs."""
    record = next((r for r in rule.records if holds(r.when, facts)), None)
    if record is None:
        return predicted, {"tokens/s": "performance model, ratio on what was measured"}
    estimates = [
        (predicted.expected, deviation(predicted.low, predicted.high)),
        (record.ratio.expected, _deviation(record, facts)),
    ]
    note = f"performance model pooled with {record.pairs} measured pairs: {record.source}"
    return pooled(estimates, predicted.evidence), {"tokens/s": note}


def _deviation(record: Record, facts: Mapping[str, float]) -> float:
    """How far the pairs may be from this instance: their own spread, architecture and load."""
    own = deviation(record.ratio.low, record.ratio.high)
    architecture = ARCHITECTURE_ALLOWANCE / record.architectures**0.5
    loaded = facts.get("load_factor", 0.0) >= 0.8
    load = LOAD_ALLOWANCE if record.load == "saturated" and not loaded else 0.0
    variance: float = own**2 + architecture**2 + load**2
    return float(variance**0.5)
