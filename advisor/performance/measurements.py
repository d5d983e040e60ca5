"""Published benchmark rows as configurations, loads and what was measured; used to fit and to judge the fit."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from advisor.catalog.gpus import find_gpu, kind
from advisor.catalog.models import find_model
from advisor.performance.configuration import Configuration, Load

CHAT_PROMPT_TOKENS = 300.0
"""ML.ENERGY publishes no prompt lengths: this is assumed for its chat and question tasks."""
_TASKS = ("gpqa", "lm-arena-chat")
"""Code completion is left out: its answers are short, so that the unknown prompts decide the step."""
_HOST_BOUND = {
    ("B200", "gpqa", "Qwen/Qwen3-8B"),
    ("B200", "gpqa", "Qwen/Qwen3-14B"),
    ("B200", "gpqa", "nvidia/NVIDIA-Nemotron-Nano-9B-v2"),
}
"""Runs 3 to 6 times slower at half the watts than the same model, GPU and batch in chat: a slow host."""
_ERRATIC = {("GB200 NVL72", "Qwen/Qwen3-32B")}
"""Time per token jumps fivefold from one request to two and falls again: not one configuration."""
_WIDEST = 8
"""GPUs an engine may span in a row; wider ones are encoded ambiguously at the source."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured point. `decoding` is the mean number of sequences that decode, over all ranks."""

    source: str
    configuration: Configuration
    load: Load
    decoding: float
    tpot_s: float
    ttft_s: float | None
    output_tokens_per_s: float
    power_w: float | None

    @property
    def family(self) -> str:
        """The architecture's word."""
        return self.configuration.architecture.id

    @property
    def sweep(self) -> str:
        """The data set a row belongs to; see `sweep_key`."""
        return sweep_key(self)

    @property
    def group(self) -> tuple[str, str, str]:
        """GPU generation, engine and weight precision: what shares one set of constants."""
        c = self.configuration
        return c.gpu.generation, c.engine, c.weights


def sweep_key(row: Row) -> str:
    """GPU kind, GPUs, model family and engine: rows of one key never stand on both sides of a fit."""
    c = row.configuration
    return f"{kind(c.gpu)}|{c.gpus}|{row.family}|{c.engine}"


def read(folder: Path) -> list[Row]:
    """Every usable row of the benchmark folder.

    Raises:
        FileNotFoundError: if the folder lacks a file; its message names the file.
    """
    return [
        *_mlenergy(folder / "mlenergy_v3_llm.csv"),
        *_silicon(folder / "aic_silicon_sample.csv"),
    ]


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _configuration(
    row: Mapping[str, str], engine: str, weights: str, data_parallel: int, expert_parallel: int
) -> Configuration | None:
    gpu, architecture = find_gpu(row["gpu"]), find_model(row["model"])
    gpus = int(row["n_gpus"])
    if gpu is None or architecture is None:
        return None
    return Configuration(
        gpu=gpu,
        gpus=gpus,
        architecture=architecture,
        engine=engine,
        weights=weights,
        tensor_parallel=gpus // data_parallel,
        data_parallel=data_parallel,
        expert_parallel=expert_parallel,
        engine_version=row["engine_version"] or None,
    )


def _mlenergy(path: Path) -> Iterator[Row]:
    """Text tasks: tokens/s over the mean running batch is the mean step, prefill steps included."""
    for row in _rows(path):
        run = row["gpu"], row["task"], row["model"]
        if row["task"] not in _TASKS or run in _HOST_BOUND:
            continue
        weights = {"bfloat16": "bf16"}.get(row["precision"], row["precision"])
        c = _configuration(row, "vllm", weights, int(row["dp"]), int(row["ep"]))
        if c is None:
            continue
        batch, rate = float(row["avg_batch_size"]), float(row["throughput_tok_s"])
        load = Load(batch, CHAT_PROMPT_TOKENS, float(row["avg_output_len"]))
        power = float(row["power_w_per_gpu"])
        yield Row("ML.ENERGY v3", c, load, batch, batch / rate, None, rate, power)


def _silicon(path: Path) -> Iterator[Row]:
    """Aggregated serving with a known GPU count; who decodes follows from both latencies."""
    for row in _rows(path):
        plain = row["note"].startswith("mode=agg;") and row["n_gpus"]
        erratic = (row["gpu"], row["model"]) in _ERRATIC
        if not plain or erratic or int(row["n_gpus"]) > _WIDEST:
            continue
        weights = _silicon_weights(row)
        gpus = int(row["n_gpus"])
        data = min(int(float(row["dp"] or 1)), gpus) if float(row["tp"] or 1) <= 1 else 1
        experts = min(int(float(row["ep"] or 1)) or 1, gpus)
        c = _configuration(row, row["engine"], weights, data, experts)
        if c is None or weights not in c.architecture.precisions:
            continue
        tpot_s, ttft_s = float(row["tpot_ms"]) / 1e3, float(row["ttft_ms"]) / 1e3
        load = Load(float(row["concurrency_or_batch"]), float(row["isl"]), float(row["osl"]))
        decode_s = (load.output_tokens - 1) * tpot_s
        rate = load.output_tokens * load.concurrency / (ttft_s + decode_s)
        decoding = load.concurrency * decode_s / (ttft_s + decode_s)
        yield Row("AIC silicon", c, load, decoding, tpot_s, ttft_s, rate, None)


def _silicon_weights(row: Mapping[str, str]) -> str:
    architecture = find_model(row["model"])
    if row["precision"] == "fp4":
        native = architecture.native_weights if architecture else ""
        return "mxfp4" if native == "mxfp4" else "nvfp4"
    return row["precision"] or "bf16"
