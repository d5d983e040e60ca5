"""The model catalog: shapes give the published parameter counts, ids of checkpoints find them."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.catalog import parameters
from advisor.catalog.checkpoint import UnknownConfigError
from advisor.catalog.models import MODELS, find_model, from_config
from advisor.performance.work import cache_bytes_per_token

LLAMA_8B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
DEEPSEEK: dict[str, Any] = {
    "_name_or_path": "deepseek-ai/DeepSeek-R1",
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "vocab_size": 129280,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}
GPT_OSS: dict[str, Any] = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 2880,
    "num_local_experts": 128,
    "experts_per_token": 4,
    "vocab_size": 201088,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "quantization_config": {"quant_method": "mxfp4"},
}
NEMOTRON: dict[str, Any] = {
    "model_type": "nemotron_h",
    "hidden_size": 2688,
    "num_hidden_layers": 52,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "intermediate_size": 1856,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "n_routed_experts": 128,
    "num_experts_per_tok": 6,
    "mlp_hidden_act": "relu2",
    "hybrid_override_pattern": "ME" * 23 + "*" * 6,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "ssm_state_size": 128,
    "n_groups": 8,
    "vocab_size": 131072,
}


@pytest.mark.parametrize("model_id", sorted(MODELS))
def test_shapes_give_the_published_total_within_three_percent(model_id: str) -> None:
    model = MODELS[model_id]
    assert parameters.total(model) == pytest.approx(model.total_parameters, rel=0.03)


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-70b"),
        ("meta-llama/Meta-Llama-3.1-70B-Instruct-FP8", "llama-70b"),
        ("nvidia/Llama-3_3-70B-Instruct-NVFP4", "llama-70b"),
        ("nvidia/DeepSeek-R1-0528-FP4-v2", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseek-r1"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "qwen3-235b-a22b"),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", "nemotron-nano-9b"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1-FP8", "nemotron-super-49b"),
        ("moonshotai/Kimi-K2-Instruct-0905", "kimi-k2"),
        ("google/gemma-3-27b-it", "gemma-3-27b"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "llama-8b"),
    ],
)
def test_a_checkpoint_id_finds_its_architecture(name: str, model_id: str) -> None:
    found = find_model(name)
    assert found is not None
    assert found.id == model_id


@pytest.mark.parametrize("name", ["", "Qwen/Qwen3-VL-8B", "Llama-2-70b", "gpt-4o"])
def test_an_unknown_model_finds_nothing(name: str) -> None:
    assert find_model(name) is None


@pytest.mark.parametrize(
    ("model_id", "bytes_per_token"),
    [
        ("llama-8b", 131_072),
        ("llama-70b", 327_680),
        ("llama-405b", 516_096),
        ("qwen3-235b-a22b", 192_512),
        ("deepseek-r1", 70_272),
        ("gpt-oss-120b", 36_864),
    ],
)
def test_the_cache_of_a_token_is_what_its_attention_keeps(
    model_id: str, bytes_per_token: int
) -> None:
    model = MODELS[model_id]
    assert cache_bytes_per_token(model, "bf16") * model.full_attention_layers == bytes_per_token


@pytest.mark.parametrize(
    ("config", "model_id", "weights"),
    [
        (LLAMA_8B, "llama-8b", "bf16"),
        (DEEPSEEK, "deepseek-r1", "fp8"),
        (GPT_OSS, "gpt-oss-120b", "mxfp4"),
        (NEMOTRON, "nemotron-3-nano-30b-a3b", "bf16"),
    ],
)
def test_a_config_gives_the_architecture_of_the_catalog(
    config: dict[str, Any], model_id: str, weights: str
) -> None:
    read = from_config(config)
    known = MODELS[model_id]
    assert read.native_weights == weights
    assert read.total_parameters == pytest.approx(parameters.total(known), rel=1e-3)
    assert read.full_attention_layers == known.full_attention_layers
    assert read.window == known.window


def test_a_config_known_by_name_takes_the_id_of_the_catalog() -> None:
    assert from_config(DEEPSEEK).id == "deepseek-r1"


def test_a_config_without_a_decoder_names_what_it_lacks() -> None:
    with pytest.raises(UnknownConfigError, match="num_attention_heads"):
        from_config({"model_type": "whisper", "hidden_size": 1280})
