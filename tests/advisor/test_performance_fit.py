"""The shipped fit: readable, complete, and ignorant of the sweeps it is examined on."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import astuple
from importlib.resources import files

from advisor.catalog.gpus import GPUS
from advisor.catalog.models import MODELS
from advisor.performance.configuration import Configuration
from advisor.performance.fit import HIGHEST, engine_word, load, precision_word

FIT = load()


def configuration(version: str | None, engine: str = "vllm") -> Configuration:
    return Configuration(
        GPUS["h100"], 1, MODELS["llama-8b"], engine, "bf16", engine_version=version
    )


def test_the_fit_never_saw_the_sweeps_that_are_held_out() -> None:
    text = files("advisor.performance").joinpath("data/held_out.toml").read_text("utf-8")
    held_out = tomllib.loads(text)["sweeps"]
    assert held_out
    assert not set(held_out) & set(FIT.sweeps)


def test_sweeps_are_sorted_keys_of_known_parts_and_models() -> None:
    assert list(FIT.sweeps) == sorted(FIT.sweeps)
    for sweep in FIT.sweeps:
        gpu, gpus, family, engine = sweep.split("|")
        assert any(part.id.startswith(gpu) for part in GPUS.values())
        assert 1 <= int(gpus) <= 8
        assert family in MODELS
        assert engine in {"vllm", "sglang", "trtllm"}


def test_constants_are_positive_and_bounded() -> None:
    groups = [group.constants for group in FIT.groups.values()]
    for constants in (FIT.default, *FIT.engines.values(), *groups):
        for value, bound in zip(astuple(constants), astuple(HIGHEST), strict=True):
            assert 0 < value <= bound * 1.001


def test_every_regime_of_change_has_an_interval_around_no_error() -> None:
    for regime in ("cold", "batch_near", "batch_far", "precision", "parallel"):
        residual = FIT.residuals[regime]["output_tokens_per_s"]
        assert residual.low < 0 < residual.high
        assert residual.architectures >= 3


def test_architectures_left_out_are_harder_than_those_seen() -> None:
    for quantity, error in FIT.errors["fitted"].items():
        assert error <= FIT.errors["architecture_left_out"][quantity] + 0.01


def test_watts_were_measured_under_vllm_on_two_parts_only() -> None:
    assert FIT.power_measured == ("b200|vllm", "h100|vllm")


def test_an_old_vllm_has_constants_of_its_own() -> None:
    assert engine_word(configuration("0.11.2")) == "vllm-0.11"
    assert engine_word(configuration("0.12.0")) == "vllm"
    assert engine_word(configuration("0.33.0")) == "vllm"
    assert engine_word(configuration(None)) == "vllm"
    assert engine_word(configuration("nightly-5b8c30d")) == "vllm"
    assert engine_word(configuration("0.5.9", "sglang")) == "sglang"


def test_mixtures_have_precisions_of_their_own() -> None:
    dense = configuration(None)
    assert precision_word(dense) == "bf16"
    mixture = Configuration(GPUS["h100"], 8, MODELS["qwen3-235b-a22b"], "vllm", "fp8")
    assert precision_word(mixture) == "fp8-moe"


def test_a_precision_without_rows_is_moved_from_its_engine() -> None:
    c = Configuration(GPUS["b200"], 1, MODELS["llama-8b"], "sglang", "fp8")
    base = FIT.engines["blackwell|sglang"]
    assert "blackwell|sglang|fp8" not in FIT.groups
    assert FIT.constants(c).layer_s > base.layer_s
    assert FIT.constants(c).cache_efficiency <= base.cache_efficiency * 1.01


def test_predicting_imports_no_fitting_library() -> None:
    code = (
        "import sys, advisor.performance.predict as p; from advisor.performance.fit import load;"
        "load(); sys.exit(any(m.split('.')[0] in ('sklearn', 'scipy') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
