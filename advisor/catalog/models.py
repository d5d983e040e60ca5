"""Model architectures: what decides weights, cache and arithmetic, each with its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder as the performance model sees it. Counts are per layer unless said; 0 where absent.

    `full_attention_layers` keep a cache of the whole context, `window_layers` one of `window`
    tokens, `linear_layers` a constant state. MLA models give `mla_kv_rank` and `mla_rope_dim`.
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
