"""Command lines: flags of the allow-list in our words, and nothing else."""

from __future__ import annotations

import pytest

from agent.argv import Command, number, parse_command
from agent.precision import kv_of, weights_by_name, weights_of

SECRETS = (
    "--api-key sk-secret --hf-token=hf_secret --ssl-keyfile-password secret "
    "--served-model-name secret --unknown secret"
)


def said(command: str) -> dict[str, str]:
    parsed = parse_command(command)
    assert parsed is not None
    return {name.removeprefix("joulewise."): value for name, value in parsed.said.items()}


@pytest.mark.parametrize(
    ("command", "engine"),
    [
        ("vllm serve m", "vllm"),
        ("/opt/venv/bin/python3 /opt/venv/bin/vllm serve m", "vllm"),
        ("python -m vllm.entrypoints.openai.api_server --model m", "vllm"),
        ("python -m dynamo.vllm --model m", "vllm"),
        ("python3 -m sglang.launch_server --model-path m", "sglang"),
        ("sglang serve --model-path m", "sglang"),
        ("trtllm-serve m", "tensorrt-llm"),
        ("trtllm-serve serve m", "tensorrt-llm"),
    ],
)
def test_an_engine_is_told_by_how_it_is_started(command: str, engine: str) -> None:
    parsed = parse_command(command)
    assert parsed is not None
    assert (parsed.engine, parsed.said["joulewise.model"]) == (engine, "m")


@pytest.mark.parametrize("command", ["", "nginx -g x", "python train.py --model m", "vllm bench"])
def test_another_program_is_no_engine(command: str) -> None:
    assert parse_command(command) is None


@pytest.mark.parametrize(
    "flags",
    [
        "--tensor-parallel-size 4 --max-num-seqs 64 --kv-cache-dtype fp8_e4m3",
        "--tensor-parallel-size=4 --max-num-seqs=64 --kv-cache-dtype=fp8",
        "--tensor_parallel_size=4 --max_num_seqs 64 --kv_cache_dtype fp8_e5m2",
        "-tp 4 --max-num-seqs 64 --kv-cache-dtype fp8",
        "-tp=4 --max-num-seqs 1 --max-num-seqs 64 --kv-cache-dtype fp8",
    ],
)
def test_a_flag_is_read_however_it_is_written_and_the_last_counts(flags: str) -> None:
    found = said(f"vllm serve m {flags}")
    assert (found["parallel.tensor"], found["max_sequences"], found["precision.kv"]) == (
        "4",
        "64",
        "fp8",
    )


@pytest.mark.parametrize("start", ["vllm serve m", "sglang serve --model m", "trtllm-serve m"])
def test_secrets_are_never_kept(start: str) -> None:
    parsed = parse_command(f"{start} {SECRETS}")
    assert parsed is not None
    assert "secret" not in repr(parsed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8192", "8192"),
        ("8k", "8000"),
        ("8K", "8192"),
        ("1.5k", "1500"),
        ("auto", None),
        ("-1", None),
        ("", None),
    ],
)
def test_numbers_are_written_as_vllm_reads_them(text: str, expected: str | None) -> None:
    assert number(text) == expected


def test_vllm_with_expert_parallel_spreads_experts_over_all_its_gpus() -> None:
    found = said("vllm serve m -tp 2 -dp 4 --enable-expert-parallel")
    assert (found["parallel.tensor"], found["parallel.data"], found["parallel.expert"]) == (
        "2",
        "4",
        "8",
    )


def test_sglang_with_data_parallel_attention_shares_gpus_and_requests_among_ranks() -> None:
    found = said(
        "python -m sglang.launch_server --model-path m --tp 8 --dp 8 --ep 8 --enable-dp-attention "
        "--max-running-requests 1024"
    )
    assert (found["parallel.tensor"], found["parallel.data"], found["max_sequences"]) == (
        "1",
        "8",
        "128",
    )


@pytest.mark.parametrize(
    ("command", "features"),
    [
        ("vllm serve m", "chunked_prefill,prefix_caching"),
        (
            "vllm serve m --no-enable-prefix-caching --enforce-eager",
            "chunked_prefill,enforce_eager",
        ),
        (
            """vllm serve m --speculative-config '{"method":"eagle3"}'""",
            "chunked_prefill,prefix_caching,speculative_decoding",
        ),
        ("sglang serve --model m --disable-radix-cache", "chunked_prefill"),
        ("sglang serve --model m --chunked-prefill-size -1", "prefix_caching"),
        ("trtllm-serve m --enable_chunked_prefill", "chunked_prefill,prefix_caching"),
    ],
)
def test_features_are_those_that_are_on(command: str, features: str) -> None:
    assert said(command)["features"] == features


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("""vllm serve m --kv-transfer-config '{"kv_role":"kv_producer"}'""", "prefill"),
        ("""vllm serve m --kv-transfer-config '{"kv_role":"kv_both"}'""", "unified"),
        ("vllm serve m --kv-transfer-config half{", None),
        ("sglang serve --model m --disaggregation-mode decode", "decode"),
        ("sglang serve --model m --disaggregation-mode null", None),
    ],
)
def test_a_role_is_said_where_prefill_and_decode_are_apart(command: str, role: str | None) -> None:
    assert said(command).get("role") == role


def test_an_open_quote_does_not_stop_the_reading() -> None:
    assert (
        said("vllm serve m --tensor-parallel-size 2 --chat-template 'oops")["parallel.tensor"]
        == "2"
    )


@pytest.mark.parametrize("command", ["disaggregated -c x.yaml", "--tp_size 2", "serve", ""])
def test_a_subcommand_or_a_flag_is_no_model(command: str) -> None:
    assert "model" not in said(f"trtllm-serve {command}")


def test_an_empty_command_line_is_no_engine() -> None:
    assert parse_command([]) is None
    assert parse_command(["vllm"]) is None
    assert parse_command(["vllm", "serve"]) == Command(
        "vllm", {"joulewise.features": "chunked_prefill,prefix_caching"}
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", None),
        ("nvidia/Llama-3.3-70B-Instruct-FP8", "fp8"),
        ("nvidia/DeepSeek-R1-0528-NVFP4", "nvfp4"),
        ("nvidia/DeepSeek-R1-FP4", "nvfp4"),
        ("deepseek-ai/DeepSeek-R1", "fp8"),
        ("deepseek-ai/DeepSeek-V3-0324", "fp8"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", None),
        ("openai/gpt-oss-120b", "mxfp4"),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "int4"),
        ("RedHatAI/Qwen2-72B-quantized.w8a8", "int8"),
        ("RedHatAI/Mistral-w4a16", "int4"),
        ("/models/llama-fp8/", "fp8"),
        ("", None),
    ],
)
def test_a_checkpoints_name_may_tell_its_precision(name: str, expected: str | None) -> None:
    assert weights_by_name(name) == expected


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        ("fp8", "fp8"),
        ("modelopt_fp4", "nvfp4"),
        ("AWQ-Marlin", "int4"),
        ("compressed-tensors", None),
        ("", None),
    ],
)
def test_quantizations_are_in_our_words(quantization: str, expected: str | None) -> None:
    assert weights_of(quantization) == expected


def test_a_kv_cache_left_to_the_engine_is_not_known() -> None:
    assert kv_of("auto") is None
    assert kv_of("fp8_e4m3") == "fp8"
