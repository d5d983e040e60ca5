"""Parameters of an architecture by part, from its shapes; formulas and source in docs/model.md."""

from __future__ import annotations

from advisor.catalog.models import Architecture


def attention(a: Architecture) -> float:
    """One attention layer: projections of query, key, value and output."""
    if a.mla_kv_rank:
        return _latent_attention(a)
    query = a.hidden * a.heads * a.head_dim
    gate = query if a.gated_attention else 0
    return 2.0 * query + gate + 2.0 * a.hidden * a.kv_heads * a.head_dim


def _latent_attention(a: Architecture) -> float:
    query_dim = a.mla_nope_dim + a.mla_rope_dim
    query_rank = a.mla_q_rank or a.hidden
    down = a.hidden * a.mla_q_rank + a.hidden * (a.mla_kv_rank + a.mla_rope_dim)
    up = query_rank * a.heads * query_dim + a.mla_kv_rank * a.heads * (a.mla_nope_dim + a.mla_v_dim)
    return float(down + up + a.heads * a.mla_v_dim * a.hidden)


def _matrices(a: Architecture) -> int:
    return 3 if a.gated_ffn else 2


def dense_ffn(a: Architecture) -> float:
    """One dense feed-forward layer."""
    return float(_matrices(a) * a.hidden * a.ffn)


def expert(a: Architecture) -> float:
    """One routed expert; it works in the latent space where the model has one."""
    return float(_matrices(a) * (a.moe_latent or a.hidden) * a.expert_ffn)


def shared_expert(a: Architecture) -> float:
    """What every token passes in a mixture layer: shared expert, router, latent projections."""
    latent = 2 * a.hidden * a.moe_latent
    return float(_matrices(a) * a.hidden * a.shared_expert_ffn + a.hidden * a.experts + latent)


def attention_layers(a: Architecture) -> int:
    """Layers with attention of either kind."""
    return a.full_attention_layers + a.window_layers


def embedding(a: Architecture) -> float:
    """One vocabulary matrix: the head, and again the embedding where they are not tied."""
    return float(a.vocabulary * a.hidden)


def always(a: Architecture) -> float:
    """What every token multiplies with, head and routed experts excluded."""
    return (
        attention_layers(a) * attention(a)
        + a.linear_layers * a.linear_parameters
        + a.dense_ffn_layers * dense_ffn(a)
        + a.moe_layers * shared_expert(a)
    )


def total(a: Architecture) -> float:
    """All parameters, without vision towers and multi-token prediction."""
    vocabulary = embedding(a) * (1 if a.tied_embeddings else 2)
    return always(a) + a.moe_layers * a.experts * expert(a) + vocabulary


def active(a: Architecture) -> float:
    """Parameters a token passes, both vocabulary matrices included."""
    routed = a.moe_layers * a.experts_per_token * expert(a)
    return always(a) + routed + embedding(a) * (1 if a.tied_embeddings else 2)
