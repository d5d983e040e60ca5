"""Published benchmark rows as configurations, loads and what was measured."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.catalog.gpus import find_gpu, kind
from advisor.catalog.models import find_model
from advisor.catalog.precisions import BYTES
from advisor.performance.configuration import Configuration, Load
from advisor.performance.memory import fits
from advisor.performance.steady import sequence_limit

CHAT_PROMPT_TOKENS = 300.0
"""ML.ENERGY publishes no prompt lengths: this is assumed for its chat and question tasks."""
_TASKS = ("gpqa", "lm-arena-chat")
"""Code completion is left out: answers are short, unknown prompts decide the step."""
_HOST_BOUND = {
    ("B200", "gpqa", "Qwen/Qwen3-8B"),
    ("B200", "gpqa", "Qwen/Qwen3-14B"),
    ("B200", "gpqa", "nvidia/NVIDIA-Nemotron-Nano-9B-v2"),
}
"""Up to 6 times slower at half the watts than the same model and batch in chat: a slow host."""
_ERRATIC = {("GB200 NVL72", "Qwen/Qwen3-32B")}
"""Time per token jumps fivefold from one request to two and falls again: not one configuration."""
_EARLY_TRTLLM = {"0.5", "0.6", "0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13"}
"""TensorRT-LLM before autumn 2024: one FP8 pair gains 1.4, then 2.7 a release later."""
_OFFLINE_UTILIZATION = 0.95
_OFFLINE_REQUESTS = 4096.0
"""What offline runs of TensorRT-LLM leave to the cache, and more requests than any of them runs."""
_WIDEST = 8
"""GPUs an engine may span in a row; wider ones are encoded ambiguously at the source."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured point: `running` sequences in the engine, `decoding` of them decode."""

    source: str
    configuration: Configuration
    load: Load
    running: float
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
    def saturated(self) -> bool:
        """Whether more requests waited than could run."""
        return self.load.concurrency > self.running

    @property
    def sweep(self) -> str:
        """The data set a row belongs to; see `sweep_key`."""
        return sweep_key(self)


def sweep_key(row: Row) -> str:
    """GPU kind, GPUs, family and engine: rows of one key stay on one side of a fit."""
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
        *_saturated(folder / "trtllm_perf_overview.csv"),
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
        yield Row("ML.ENERGY v3", c, load, batch, batch, batch / rate, None, rate, power)


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
        yield Row("AIC silicon", c, load, load.concurrency, decoding, tpot_s, ttft_s, rate, None)


def _saturated(path: Path) -> Iterator[Row]:
    """Offline runs with every request queued at the start: as many run as the cache holds."""
    for row in _rows(path):
        offline = row["concurrency_or_batch"].startswith("max") and "SUSPECT" not in row["note"]
        if not offline or row["engine_version"] in _EARLY_TRTLLM or int(row["n_gpus"]) > _WIDEST:
            continue
        weights = _saturated_weights(row)
        data, pipeline = int(row["dp"] or 1), int(row["pp"] or 1)
        c = _configuration(row, "trtllm", weights, data, int(row["ep"] or 1))
        if c is None or weights not in BYTES:
            continue
        c = replace(
            c,
            kv="bf16" if weights == "bf16" else "fp8",
            tensor_parallel=c.gpus // (data * pipeline),
            pipeline_parallel=pipeline,
            memory_utilization=_OFFLINE_UTILIZATION,
        )
        load = Load(_OFFLINE_REQUESTS, float(row["isl"]), float(row["osl"]))
        room = fits(c, load)
        running = min(room.max_concurrency, sequence_limit(c))
        rate = float(row["throughput_tok_s"])
        if room.fits:
            yield Row(
                "TensorRT-LLM overview", c, load, running, running, running / rate, None, rate, None
            )


def _saturated_weights(row: Mapping[str, str]) -> str:
    architecture = find_model(row["model"])
    if architecture and architecture.native_weights == "mxfp4":
        return "mxfp4"
    return {"fp16": "bf16", "bfloat16": "bf16"}.get(row["precision"], row["precision"])


def _silicon_weights(row: Mapping[str, str]) -> str:
    architecture = find_model(row["model"])
    if row["precision"] == "fp4":
        native = architecture.native_weights if architecture else ""
        return "mxfp4" if native == "mxfp4" else "nvfp4"
    return row["precision"] or "bf16"
