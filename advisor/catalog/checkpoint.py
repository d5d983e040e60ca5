"""Reads a checkpoint's `config.json` into an Architecture, however the file spells its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from advisor.catalog import parameters
from advisor.catalog.models import Architecture, find_model

Config = Mapping[str, Any]


class UnknownConfigError(ValueError):
    """A config.json that lacks what a decoder needs."""


def read_config(config: Config) -> Architecture:
    """The architecture in a config.json; multimodal files are read by their text part."""
    text: Config = {**config, **config.get("text_config", {})}
    try:
        shape = {**_size(text), **_attention(text), **_feed_forward(text)}
    except KeyError as missing:
        model_type = config.get("model_type", "unnamed")
        raise UnknownConfigError(
            f"reading config.json of model type {model_type!r}: no {missing}; "
            "name the model in the instance's configuration instead"
        ) from missing
    name = str(config.get("_name_or_path") or config.get("model_type", "unnamed"))
    known = find_model(name)
    weights = _weights(config)
    architecture = Architecture(
        id=known.id if known else name,
        names=(name,),
        native_weights=weights,
        precisions=known.precisions if known else (weights,),
        source="config.json",
        **shape,
    )
    return replace(
        architecture,
        total_parameters=parameters.total(architecture),
        active_parameters=parameters.active(architecture),
    )


def _size(config: Config) -> dict[str, Any]:
    heads = int(config["num_attention_heads"])
    hidden = int(config["hidden_size"])
    return {
        "layers": int(config["num_hidden_layers"]),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": int(config.get("num_key_value_heads") or heads),
        "head_dim": int(config.get("head_dim") or hidden // heads),
        "vocabulary": int(config["vocab_size"]),
        "context": int(config.get("max_position_embeddings", 0)),
        "tied_embeddings": bool(config.get("tie_word_embeddings", False)),
        "gated_attention": bool(config.get("attn_output_gate", False)),
    }


def _layer_kinds(config: Config) -> dict[str, int]:
    """How many layers attend to everything, to a window, or keep a constant state."""
    layers = int(config["num_hidden_layers"])
    kinds = config.get("layer_types")
    if kinds:
        windows = sum(kind in ("sliding_attention", "chunked_attention") for kind in kinds)
        linear = sum(kind == "linear_attention" for kind in kinds)
        return {
            "full_attention_layers": layers - windows - linear,
            "window_layers": windows,
            "linear_layers": linear,
        }
    pattern = int(config.get("sliding_window_pattern") or 0)
    if pattern:
        full = layers // pattern
        return {"full_attention_layers": full, "window_layers": layers - full}
    return {"full_attention_layers": layers}


def _attention(config: Config) -> dict[str, Any]:
    if "hybrid_override_pattern" in config:
        return _mamba(config)
    kinds: dict[str, Any] = _layer_kinds(config)
    if kinds.get("window_layers"):
        kinds["window"] = int(config.get("sliding_window") or config["attention_chunk_size"])
    if kinds.get("linear_layers"):
        key = int(config["linear_num_key_heads"]) * int(config["linear_key_head_dim"])
        value = int(config["linear_num_value_heads"]) * int(config["linear_value_head_dim"])
        hidden = int(config["hidden_size"])
        kinds["linear_parameters"] = float(hidden * (2 * key + 2 * value) + value * hidden)
        kinds["linear_state"] = float(value * int(config["linear_key_head_dim"]))
    if "kv_lora_rank" in config:
        kinds |= {
            "mla_kv_rank": int(config["kv_lora_rank"]),
            "mla_q_rank": int(config.get("q_lora_rank") or 0),
            "mla_rope_dim": int(config["qk_rope_head_dim"]),
            "mla_nope_dim": int(config["qk_nope_head_dim"]),
            "mla_v_dim": int(config["v_head_dim"]),
        }
    return kinds


def _mamba(config: Config) -> dict[str, Any]:
    """Nemotron hybrids: one letter a layer, M Mamba2, * attention, - feed-forward, E experts."""
    pattern = str(config["hybrid_override_pattern"])
    hidden, heads = int(config["hidden_size"]), int(config["mamba_num_heads"])
    inner, state = heads * int(config["mamba_head_dim"]), int(config["ssm_state_size"])
    width = 2 * inner + 2 * int(config["n_groups"]) * state + heads
    return {
        "full_attention_layers": pattern.count("*"),
        "linear_layers": pattern.count("M"),
        "linear_parameters": float(hidden * width + inner * hidden),
        "linear_state": float(inner * state),
    }


def _feed_forward(config: Config) -> dict[str, Any]:
    experts = int(
        config.get("n_routed_experts")
        or config.get("num_local_experts")
        or config.get("num_experts")
        or 0
    )
    moe_layers = _moe_layers(config) if experts else 0
    dense_layers = _dense_layers(config, moe_layers)
    shape: dict[str, Any] = {
        "moe_layers": moe_layers,
        "dense_ffn_layers": dense_layers,
        "gated_ffn": config.get("mlp_hidden_act") != "relu2",
    }
    if dense_layers:
        shape["ffn"] = int(config.get("intermediate_size_mlp") or config["intermediate_size"])
    if experts:
        shape |= _experts(config, experts)
    return shape


def _moe_layers(config: Config) -> int:
    if "hybrid_override_pattern" in config:
        return str(config["hybrid_override_pattern"]).count("E")
    layers = int(config["num_hidden_layers"])
    if "first_k_dense_replace" in config:
        return layers - int(config["first_k_dense_replace"])
    step = int(config.get("interleave_moe_layer_step") or config.get("decoder_sparse_step") or 1)
    return layers // step


def _dense_layers(config: Config, moe_layers: int) -> int:
    if "hybrid_override_pattern" in config:
        return str(config["hybrid_override_pattern"]).count("-")
    return int(config["num_hidden_layers"]) - moe_layers


def _experts(config: Config, experts: int) -> dict[str, Any]:
    width = int(config.get("moe_intermediate_size") or config["intermediate_size"])
    shared = config.get("moe_shared_expert_intermediate_size") or config.get(
        "shared_expert_intermediate_size"
    )
    if shared is None:
        shared = width * int(config.get("n_shared_experts") or 0)
        if config.get("model_type", "").startswith("llama4"):
            shared = width
    return {
        "experts": experts,
        "experts_per_token": int(config.get("num_experts_per_tok") or config["experts_per_token"]),
        "expert_ffn": width,
        "shared_expert_ffn": int(shared),
        "moe_latent": int(config.get("moe_latent_size") or 0),
    }


_METHODS = {
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "mxfp4": "mxfp4",
    "awq": "int4",
    "gptq": "int4",
    "bitsandbytes": "int4",
}


def _weights(config: Config) -> str:
    """Precision of the weights as the file states it; 16 bits where it says nothing."""
    quantization = config.get("quantization_config") or {}
    algorithm = str(quantization.get("quant_algo") or "").lower()
    if algorithm:
        return "nvfp4" if "nvfp4" in algorithm else "fp8" if "fp8" in algorithm else "int4"
    method = str(quantization.get("quant_method") or "").lower()
    if method == "compressed-tensors":
        return _compressed(quantization)
    return _METHODS.get(method, "bf16")


def _compressed(quantization: Config) -> str:
    groups = quantization.get("config_groups") or {}
    for group in groups.values():
        weights = group.get("weights") or {}
        form = f"{weights.get('type')}{weights.get('num_bits')}"
        return {"float8": "fp8", "int8": "int8", "float4": "nvfp4"}.get(form, "int4")
    return "bf16"
