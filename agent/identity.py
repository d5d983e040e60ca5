"""What an instance is, put together from findings of several tiers, and the digest of it.

Pure; where findings come from is `discover`'s and the collectors' business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from agent.precision import weights_by_name
from agent.vocabulary import SIGNALS

CONFIGURED, ENGINE, PROCESSES, ARGV = "configured", "engine", "processes", "argv"
CHECKPOINT, MODEL_NAME, DEFAULT = "checkpoint", "model name", "default"
"""The tiers, the surest first."""

Finding = tuple[str, Mapping[str, str]]
"""A tier and the attributes found there."""

MODEL = "joulewise.model"
WEIGHTS = "joulewise.precision.weights"
TIERS = "joulewise.tiers"
DIGEST = "joulewise.config.digest"
FEATURES = "joulewise.features"
CONFIGURATION = (
    "joulewise.engine.name",
    "joulewise.engine.version",
    "joulewise.model",
    "joulewise.precision.weights",
    "joulewise.precision.kv",
    "joulewise.parallel.tensor",
    "joulewise.parallel.pipeline",
    "joulewise.parallel.data",
    "joulewise.parallel.expert",
    "joulewise.max_sequences",
    "joulewise.max_batched_tokens",
    "joulewise.max_model_length",
    "joulewise.memory_utilization",
    "joulewise.features",
    "joulewise.role",
)
"""What makes two configurations different; which GPUs carry it and how we know of it do not."""
KNOWN = frozenset(SIGNALS["joulewise.instance.info"].attributes)


def describe(*findings: Finding) -> dict[str, str]:
    """The attributes of `joulewise.instance.info` from findings, the surest first.

    What is not in the vocabulary or empty is left out; features add up, as no source knows all of
    them. The tiers name each field and where it came from; findings that carry tiers keep them.
    """
    merged: dict[str, str] = {}
    tiers: dict[str, str] = {}
    sure = [finding for finding in findings if finding[0] != DEFAULT]
    _merge(sure, merged, tiers)
    weights = weights_by_name(merged.get(MODEL, ""))
    _merge([(MODEL_NAME, {WEIGHTS: weights} if weights else {})], merged, tiers)
    _merge([finding for finding in findings if finding[0] == DEFAULT], merged, tiers)
    if features := {word for _, said in findings for word in _features(said)}:
        merged[FEATURES] = ",".join(sorted(features))
    merged[DIGEST] = configuration_digest(merged)
    merged[TIERS] = ",".join(f"{name}={tier}" for name, tier in sorted(tiers.items()))
    return merged


def _merge(findings: Iterable[Finding], merged: dict[str, str], tiers: dict[str, str]) -> None:
    for tier, said in findings:
        own = parse_tiers(said.get(TIERS, ""))
        for name, value in said.items():
            if value and name in KNOWN and name not in {*merged, TIERS, DIGEST}:
                merged[name] = value
                tiers[short_name(name)] = own.get(short_name(name), tier)


def _features(said: Mapping[str, str]) -> list[str]:
    return [word for word in said.get(FEATURES, "").split(",") if word]


def configuration_digest(info: Mapping[str, str]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the configuration fields."""
    fields = {name: info[name] for name in CONFIGURATION if name in info}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def parse_tiers(text: str) -> dict[str, str]:
    """`field=tier,field=tier` as a mapping."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: tier for name, _, tier in pairs}


def short_name(attribute: str) -> str:
    """An attribute's name without the prefix that all of ours have."""
    return attribute.removeprefix("joulewise.")
