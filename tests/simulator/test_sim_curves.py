"""Curves say what was measured, and nothing beyond it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from simulator import curves

DATA = Path(os.environ.get("JOULEWISE_DATA", Path(__file__).parents[3] / "shared" / "data"))
CURVES = curves.load()
ENTRIES = {entry["id"]: entry for entry in curves.rows()}
MEASURED = {
    "limit": "concurrency_or_batch",
    "batch": "avg_batch_size",
    "tokens_per_s": "throughput_tok_s",
    "itl_p50_ms": "itl_p50_ms",
    "itl_p90_ms": "itl_p90_ms",
    "itl_p99_ms": "itl_p99_ms",
    "power_w": "power_w_per_gpu",
}
SILICON = {"batch": "concurrency_or_batch", "ttft_ms": "ttft_ms", "tpot_ms": "tpot_ms"}


def _rows(name: str) -> list[dict[str, str]]:
    path = DATA / "benchmarks" / name
    if not path.exists():
        pytest.skip(f"data: {path} is not here")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _found(entry: dict[str, object], row: dict[str, str], columns: dict[str, str]) -> list[float]:
    names = entry["columns"]
    assert isinstance(names, list)
    return [float(row[columns[name]]) for name in names]


@pytest.mark.parametrize(
    "curve_id", [entry["id"] for entry in ENTRIES.values() if "limit" in entry["columns"]]
)
def test_figures_equal_the_rows_of_the_benchmark(curve_id: str) -> None:
    entry = ENTRIES[curve_id]
    rows = [
        row
        for row in _rows("mlenergy_v3_llm.csv")
        if entry["source"].endswith(row["url_or_repo_path"])
        and (row["gpu"], int(row["n_gpus"])) == (entry["gpu"], entry["n_gpus"])
        and row["precision"] == entry["precision_in_source"]
    ]
    found = sorted(_found(entry, row, MEASURED) for row in rows)
    assert found == [list(map(float, row)) for row in entry["rows"]]


@pytest.mark.parametrize(
    "curve_id", [entry["id"] for entry in ENTRIES.values() if "ttft_ms" in entry["columns"]]
)
def test_figures_equal_rows_of_the_silicon_sample(curve_id: str) -> None:
    entry = ENTRIES[curve_id]
    rows = [
        _found(entry, row, SILICON)
        for row in _rows("aic_silicon_sample.csv")
        if row["gpu"].startswith(entry["gpu"])
        and row["n_gpus"] == str(entry["n_gpus"])
        and row["model"] == entry["model"]
        and row["engine_version"] == entry["engine_version"]
        and row["precision"] == entry["precision_in_source"]
        and (row["isl"], row["osl"]) == ("1024", "1024")
    ]
    assert all(list(map(float, figures)) in rows for figures in entry["rows"])


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_a_curve_goes_through_its_rows(curve: curves.Curve) -> None:
    np.testing.assert_allclose(curve.throughput(curve.batch), curve.tokens_per_s)
    np.testing.assert_allclose(curve.power(curve.batch), curve.power_w)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_beyond_its_rows_a_curve_claims_no_more_throughput(curve: curves.Curve) -> None:
    beyond = curve.throughput(np.array([curve.batch[-1] * 4]))
    assert beyond[0] == pytest.approx(curve.tokens_per_s[-1])


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_below_its_rows_a_request_is_no_faster(curve: curves.Curve) -> None:
    one = curve.token_time_s(np.array([1.0]))
    assert one[0] == pytest.approx(curve.batch[0] / curve.tokens_per_s[0])


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_an_empty_instance_makes_nothing_and_draws_idle_watts(curve: curves.Curve) -> None:
    assert curve.throughput(np.array([0.0]))[0] == 0.0
    assert curve.power(np.array([0.0]))[0] == curves.IDLE_POWER_W[curve.gpu]


def test_every_sweep_key_names_gpu_count_family_and_engine() -> None:
    for curve in CURVES.values():
        gpu, count, family, engine = curve.sweep.split("|")
        assert (gpu, count, engine) == (curve.gpu.lower(), str(curve.n_gpus), curve.engine)
        assert family in curve.id


def test_power_that_was_not_measured_says_so() -> None:
    assumed = {curve.engine for curve in CURVES.values() if curve.power_basis == "assumed"}
    assert assumed == {"trtllm"}


def test_a_closed_loop_sweep_keeps_littles_law() -> None:
    curve = CURVES["b200x8-deepseek-r1-fp8-trtllm"]
    assert curve.ttft_s is not None
    residence_s = curve.ttft_s + (curve.output_tokens - 1) * curve.itl_p50_s
    np.testing.assert_allclose(curve.tokens_per_s * residence_s / curve.output_tokens, curve.batch)
