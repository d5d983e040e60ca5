"""Engines: each knob has its flag, renames follow the version, precisions follow the GPU."""

from __future__ import annotations

import pytest

from advisor.catalog.engines import ENGINES, EngineError, flag, knobs
from advisor.catalog.gpus import GPUS
from advisor.catalog.models import MODELS
from advisor.catalog.precisions import supported_kv, supported_weights

KNOBS = (
    "weights",
    "kv",
    "max_sequences",
    "max_batched_tokens",
    "tensor_parallel",
    "pipeline_parallel",
    "data_parallel",
    "expert_parallel",
    "memory_utilization",
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("knob", KNOBS)
def test_every_engine_has_every_knob(engine: str, knob: str) -> None:
    found = flag(engine, knob)
    assert found.key
    assert found.sets in {"flag", "yaml", "checkpoint"}


@pytest.mark.parametrize(
    ("engine", "knob", "key"),
    [
        ("vllm", "max_sequences", "--max-num-seqs"),
        ("sglang", "max_sequences", "--max-running-requests"),
        ("trtllm", "max_sequences", "--max_batch_size"),
        ("trtllm", "kv", "kv_cache_config.dtype"),
        ("vllm", "tensor_parallel", "--tensor-parallel-size"),
    ],
)
def test_a_knob_is_the_exact_key_of_its_engine(engine: str, knob: str, key: str) -> None:
    assert flag(engine, knob).key == key


def test_a_renamed_flag_follows_the_version() -> None:
    assert flag("sglang", "attention_data_parallel", "0.5.9").key == "--enable-dp-attention"
    assert flag("sglang", "attention_data_parallel", "0.5.23").key == "--attn-dp-size"
    assert flag("trtllm", "configuration_file", "1.1.0").key == "--extra_llm_api_options"
    assert flag("trtllm", "configuration_file", "1.2.0rc6").key == "--config"


def test_an_unknown_version_is_taken_as_the_newest() -> None:
    assert flag("sglang", "attention_data_parallel").key == "--attn-dp-size"


def test_a_value_is_written_as_the_engine_wants_it() -> None:
    assert flag("sglang", "kv").value("fp8") == "fp8_e4m3"
    assert flag("vllm", "max_sequences").value(256) == "256"
    assert flag("trtllm", "data_parallel").value(8) == "true"


def test_an_unknown_engine_or_knob_is_named_with_what_is_known() -> None:
    with pytest.raises(EngineError, match="vllm"):
        flag("tgi", "kv")
    with pytest.raises(EngineError, match="max_sequences"):
        flag("vllm", "max_seqs")


def test_versions_of_one_knob_never_overlap() -> None:
    for engine in ENGINES:
        for name in {knob.name for knob in knobs(engine)}:
            newest = [k for k in knobs(engine) if k.name == name and k.until is None]
            assert len(newest) == 1


@pytest.mark.parametrize(
    ("gpu", "model", "weights"),
    [
        ("h100", "llama-70b", ("bf16", "fp8", "int8", "int4")),
        ("b200", "llama-70b", ("bf16", "fp8", "nvfp4", "int8", "int4")),
        ("a100", "llama-70b", ("bf16", "int8", "int4")),
        ("b200", "deepseek-r1", ("fp8", "nvfp4")),
        ("h100", "gpt-oss-120b", ("mxfp4",)),
    ],
)
def test_precisions_are_what_model_gpu_and_engine_have_in_common(
    gpu: str, model: str, weights: tuple[str, ...]
) -> None:
    assert supported_weights(GPUS[gpu], MODELS[model], "vllm") == weights


def test_an_engine_without_an_entry_serves_nothing_we_know() -> None:
    assert supported_weights(GPUS["h100"], MODELS["llama-8b"], "tgi") == ()
    assert supported_kv(GPUS["h100"], "tgi") == ("bf16",)
    assert supported_kv(GPUS["a100"], "vllm") == ("bf16",)
