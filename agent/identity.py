"""What an instance is, put together from findings of several tiers, and the digest of it.

Pure; where findings come from is `discover`'s and the collectors' business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from agent.vocabulary import SIGNALS

TIERS = "joulewise.tiers"
DIGEST = "joulewise.config.digest"
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


def describe(*findings: tuple[str, Mapping[str, str]]) -> dict[str, str]:
    """The attributes of `joulewise.instance.info` from (tier, attributes) pairs, the surest first.

    What is not in the vocabulary or empty is left out. The tiers name each configuration field and
    where it came from; attributes that carry tiers of their own keep them.
    """
    merged: dict[str, str] = {}
    tiers: dict[str, str] = {}
    for tier, said in findings:
        own = parse_tiers(said.get(TIERS, ""))
        for name, value in said.items():
            if value and name in KNOWN and name not in merged and name not in {TIERS, DIGEST}:
                merged[name] = value
                tiers[short_name(name)] = own.get(short_name(name), tier)
    merged[DIGEST] = configuration_digest(merged)
    merged[TIERS] = ",".join(f"{name}={tier}" for name, tier in sorted(tiers.items()))
    return merged


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
