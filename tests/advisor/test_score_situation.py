"""What an agent says of an instance may be unheard of or partial: then it is unknown, no error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from advisor.catalog.gpus import find_gpu
from advisor.catalog.models import find_model
from advisor.score.situation import configuration_of
from advisor.summary import Instance

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
TWO = Instance("i1", "n1", "vllm", ("a", "b"), "d", model=MODEL, weights="bf16", tensor_parallel=2)


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ({"weights": "int3"}, "weight precision 'int3'"),
        ({"kv": "turbo"}, "KV precision 'turbo'"),
        ({"tensor_parallel": 3}, "the other GPUs of replicas of 3 (2 seen)"),
        ({"tensor_parallel": 16}, "the other GPUs of replicas of 16 (2 seen)"),
        ({"gpu_ids": ()}, "GPUs of the instance"),
    ],
)
def test_what_cannot_be_reasoned_with_is_unknown(said: dict[str, Any], unknown: str) -> None:
    gpu, architecture = find_gpu("NVIDIA H100 80GB HBM3"), find_model(MODEL)
    assert configuration_of(TWO, gpu, architecture)[1] == ()
    assert configuration_of(replace(TWO, **said), gpu, architecture) == (None, (unknown,))
