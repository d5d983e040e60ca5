"""Steps and memory: what holds whatever the constants are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.catalog.gpus import GPUS
from advisor.catalog.models import MODELS
from advisor.performance.configuration import Configuration, Load
from advisor.performance.fit import load as load_fit
from advisor.performance.memory import fits
from advisor.performance.predict import point
from advisor.performance.step import step_time
from advisor.performance.work import Batch, covered_experts, step_work

FIT = load_fit()
WEIGHTS = {"llama-70b": "bf16", "gpt-oss-120b": "mxfp4", "deepseek-r1": "fp8", "llama-8b": "fp8"}
models = st.sampled_from(sorted(WEIGHTS))
gpus = st.sampled_from(["h100", "h200", "b200", "gb200", "l40s"])
engines = st.sampled_from(["vllm", "sglang", "trtllm"])
splits = st.sampled_from([1, 2, 4, 8])


def configuration(model: str, gpu: str, engine: str, gpus: int) -> Configuration:
    return Configuration(
        GPUS[gpu], gpus, MODELS[model], engine, WEIGHTS[model], tensor_parallel=gpus
    )


configurations = st.builds(configuration, models, gpus, engines, splits)
batches = st.builds(
    Batch,
    sequences=st.floats(1, 2048),
    context=st.floats(16, 32_768),
    prompt_tokens=st.floats(0, 8192),
    prompt_context=st.floats(16, 32_768),
)


@given(configurations, batches, st.floats(1.0, 4.0))
def test_more_bandwidth_never_slows_a_step(c: Configuration, batch: Batch, factor: float) -> None:
    faster = replace(c.gpu, bandwidth_bytes_per_s=c.gpu.bandwidth_bytes_per_s * factor)
    k = FIT.constants(c)
    slow = step_time(step_work(c, batch), k).total_s
    assert step_time(step_work(replace(c, gpu=faster), batch), k).total_s <= slow


@given(configurations, batches)
def test_the_parts_of_a_step_sum_to_it(c: Configuration, batch: Batch) -> None:
    step = step_time(step_work(c, batch), FIT.constants(c))
    parts = (
        step.weights_s,
        step.experts_s,
        step.attention_s,
        step.communication_s,
        step.overhead_s,
    )
    assert all(part >= 0 for part in parts)
    assert sum(parts) == pytest.approx(step.total_s)


@given(configurations, st.floats(1, 1024), st.floats(64, 8192), st.floats(64, 4096))
def test_a_doubled_batch_is_not_slower_in_tokens_a_second(
    c: Configuration, batch: float, prompt: float, answer: float
) -> None:
    one, two = (point(c, Load(batch * n, prompt, answer), FIT) for n in (1, 2))
    if two.waiting == 0:
        assert two.steady.output_tokens_per_s >= 0.98 * one.steady.output_tokens_per_s


@given(configurations, st.floats(1, 4096), st.floats(1.0, 4.0))
def test_more_requests_never_need_less_memory(
    c: Configuration, concurrency: float, factor: float
) -> None:
    less, more = (fits(c, Load(n, 1000, 500)) for n in (concurrency, concurrency * factor))
    assert more.used_bytes >= less.used_bytes
    assert more.max_concurrency == less.max_concurrency


@given(configurations, st.floats(64, 16_384), st.floats(1.0, 4.0))
def test_longer_prompts_leave_room_for_fewer_sequences(
    c: Configuration, prompt: float, factor: float
) -> None:
    short, long = (fits(c, Load(8, tokens, 256)) for tokens in (prompt, prompt * factor))
    assert long.max_concurrency <= short.max_concurrency


@pytest.mark.parametrize(("tokens", "covered"), [(8, 57), (32, 163), (64, 222), (128, 252)])
def test_uniform_routing_covers_experts_as_derived(tokens: int, covered: int) -> None:
    assert covered_experts(MODELS["deepseek-r1"], tokens) == pytest.approx(covered, abs=1)


def test_seventy_billion_in_sixteen_bits_needs_two_h100() -> None:
    one, two, four = (
        fits(configuration("llama-70b", "h100", "vllm", n), Load(1, 1000, 500)) for n in (1, 2, 4)
    )
    assert not one.fits
    assert two.fits
    assert four.max_concurrency > 8 * two.max_concurrency
    assert four.kv_bytes_per_token == pytest.approx(327_680)


def test_narrow_weights_and_cache_make_room() -> None:
    wide = configuration("llama-70b", "h100", "vllm", 4)
    narrow = replace(wide, weights="fp8", kv="fp8")
    asked = Load(1, 1000, 500)
    assert fits(narrow, asked).weights_bytes < 0.55 * fits(wide, asked).weights_bytes
    assert fits(narrow, asked).max_concurrency > 2 * fits(wide, asked).max_concurrency
