"""Model architectures: what decides weights, cache and arithmetic, each with its source."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder as the performance model sees it. Counts are per layer unless said; 0 where absent.

    `full_attention_layers` keep a cache of the whole context, `window_layers` one of `window`
    tokens, `linear_layers` a constant state of `linear_state` values. MLA models give `mla_kv_rank`
    and `mla_rope_dim`. Attention, feed-forward and recurrent layers are counted apart.
    """

    id: str
    names: tuple[str, ...]
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    ffn: int = 0
    dense_ffn_layers: int = 0
    experts: int = 0
    experts_per_token: int = 0
    expert_ffn: int = 0
    shared_expert_ffn: int = 0
    moe_layers: int = 0
    moe_latent: int = 0
    gated_ffn: bool = True
    full_attention_layers: int = 0
    window_layers: int = 0
    window: int = 0
    linear_layers: int = 0
    mla_kv_rank: int = 0
    mla_q_rank: int = 0
    mla_rope_dim: int = 0
    mla_nope_dim: int = 0
    mla_v_dim: int = 0
    tied_embeddings: bool = False
    native_weights: str = "bf16"
    context: int = 0
    total_parameters: float = 0.0
    active_parameters: float = 0.0
    precisions: tuple[str, ...] = ("bf16",)
    source: str = ""
    linear_parameters: float = 0.0
    linear_state: float = 0.0
    gated_attention: bool = False


_PRECISION_WORDS = re.compile(
    r"^(bf16|fp16|fp8|fp4|nvfp4|mxfp4|int8|int4|w4a16|w8a8|w8a16|w4a8|awq|gptq|bnb|gguf|4bit|8bit|modelopt)$"
)
_NOISE_WORDS = re.compile(
    r"^(nvidia|meta|instruct|it|chat|hf|thinking|base|preview|reasoning|\d{4})$"
)


def model_key(name: str) -> str:
    """A model id without organisation, tuning words, dates and everything from its precision on.

    `nvidia/Llama-3_3-70B-Instruct-FP8` and `meta-llama/Llama-3.3-70B-Instruct` give the same key.
    """
    bare = re.sub(r"(?<=\d)_(?=\d)", ".", name.rsplit("/", 1)[-1].lower())
    kept: list[str] = []
    for word in re.split(r"[-_\s]+", bare):
        if kept and _PRECISION_WORDS.match(word):
            break
        if word and not _NOISE_WORDS.match(word):
            kept.append(word)
    return "-".join(kept)


def _architecture(model_id: str, row: dict[str, Any]) -> Architecture:
    precisions = tuple(row.pop("precisions"))
    row.pop("note", None)
    return Architecture(
        id=model_id,
        names=tuple(row.pop("names")),
        total_parameters=row.pop("total_billions") * 1e9,
        active_parameters=row.pop("active_billions") * 1e9,
        precisions=precisions,
        native_weights=precisions[0],
        **row,
    )


def _load() -> dict[str, Architecture]:
    text = files("advisor.catalog").joinpath("data/models.toml").read_text(encoding="utf-8")
    return {model_id: _architecture(model_id, row) for model_id, row in tomllib.loads(text).items()}


MODELS: Mapping[str, Architecture] = _load()
"""Every architecture known, by id."""


@cache
def _by_name() -> Mapping[str, Architecture]:
    return {
        model_key(name): architecture
        for architecture in MODELS.values()
        for name in (architecture.id, *architecture.names)
    }


def find_model(name: str) -> Architecture | None:
    """The architecture behind a checkpoint's id; None for an unknown one."""
    return _by_name().get(model_key(name))


def from_config(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a checkpoint's `config.json` describes.

    Raises:
        advisor.catalog.checkpoint.UnknownConfigError: if the file lacks what a decoder needs.
    """
    from advisor.catalog.checkpoint import read_config

    return read_config(config)
