"""What an instance delivers against its running batch: measured figures, read by interpolation.

Inside a table values are log-log interpolated. Below it the step time stays that of the first row,
above it the throughput stays that of the last row: no claim is made outside a table.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BOARD_POWER_W = {"H100": 700.0, "B200": 1000.0}
"""Board power limits of the SXM parts (systems files of aiconfigurator)."""

IDLE_POWER_W = {"H100": 113.6, "B200": 165.0}
"""A GPU that holds a model and does nothing. H100: measured with a vLLM worker at utilization 0
(NVIDIA/aicr conformance evidence); B200: assumed, the middle of 156-174 W seen on idle GB200."""

_FILLED = 0.97
_ASSUMED_SHARE = 0.72
_ASSUMED_STEP = 1.039


@dataclass(frozen=True)
class Curve:
    """One measured sweep: output tokens/s of the instance, latencies and watts by running batch.

    `ttft_s` is None where the source has none; `power_basis` is "measured" or "assumed". `starved`:
    the measured engine could not fill its last limit, its KV cache was full at that batch.
    """

    id: str
    sweep: str
    gpu: str
    n_gpus: int
    model: str
    weights: str
    engine: str
    engine_version: str
    task: str
    source: str
    tensor_parallel: int
    expert_parallel: int
    output_tokens: float
    input_tokens: float | None
    prefill_tokens_per_s: float | None
    power_basis: str
    starved: bool
    batch: Floats
    tokens_per_s: Floats
    itl_p50_s: Floats
    itl_p90_s: Floats
    itl_p99_s: Floats
    ttft_s: Floats | None
    power_w: Floats

    @cached_property
    def largest_batch(self) -> int:
        """The largest running batch that was measured; beyond it nothing is claimed."""
        return int(self.batch[-1])

    def throughput(self, running: Floats) -> Floats:
        """Output tokens/s of the instance with `running` requests; 0 with none."""
        first = self.tokens_per_s[0] / self.batch[0]
        inside = _log_log(running, self.batch, self.tokens_per_s)
        return np.where(running < self.batch[0], running * first, inside)

    def token_time_s(self, running: Floats) -> Floats:
        """Seconds a token takes one request, prefill included: running over throughput."""
        held = np.maximum(running, 1.0)
        return np.asarray(held / self.throughput(held), dtype=np.float64)

    def power(self, running: Floats) -> Floats:
        """Watts of one GPU; idle watts with nothing running."""
        busy = _log_log(running, self.batch, self.power_w)
        return np.where(running < 1.0, IDLE_POWER_W[self.gpu], busy)

    def first_token_s(self, running: Floats, input_tokens: float) -> Floats:
        """Seconds from admission to first token: measured, else 1.5 steps and the prefill."""
        if self.ttft_s is not None:
            return _log_log(running, self.batch, self.ttft_s)
        if self.prefill_tokens_per_s is None:
            raise ValueError(f"curve {self.id} has neither a first-token time nor a prefill rate")
        return 1.5 * self.token_time_s(running) + input_tokens / self.prefill_tokens_per_s

    def step_quantiles_s(self, running: float) -> tuple[float, float, float]:
        """Median, 90th and 99th percentile of the time between tokens at `running` requests."""
        at = np.array([running])
        columns = (self.itl_p50_s, self.itl_p90_s, self.itl_p99_s)
        median, ninety, ninety_nine = (float(_log_log(at, self.batch, c)[0]) for c in columns)
        return median, ninety, ninety_nine


@cache
def load() -> dict[str, Curve]:
    """Every curve by its id."""
    text = files("simulator").joinpath("data/curves.toml").read_text(encoding="utf-8")
    curves = [_curve(entry) for entry in tomllib.loads(text)["curve"]]
    return {curve.id: curve for curve in curves}


def rows() -> list[dict[str, Any]]:
    """The transcribed entries as they stand in the file, in the units of their source."""
    text = files("simulator").joinpath("data/curves.toml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = tomllib.loads(text)["curve"]
    return entries


def sweeps() -> frozenset[str]:
    """Keys "GPU kind|GPUs|model family|engine" of every sweep behind a curve."""
    return frozenset(curve.sweep for curve in load().values())


def _log_log(x: Floats, xs: Floats, ys: Floats) -> Floats:
    held = np.maximum(x, xs[0])
    return np.asarray(np.exp(np.interp(np.log(held), np.log(xs), np.log(ys))), dtype=np.float64)


def _curve(entry: dict[str, Any]) -> Curve:
    table = {
        name: np.array([row[i] for row in entry["rows"]], dtype=np.float64)
        for i, name in enumerate(entry["columns"])
    }
    ttft_s = table["ttft_ms"] / 1e3 if "ttft_ms" in table else None
    measured = _measured(table) if "tokens_per_s" in table else _by_little(table, entry)
    return Curve(
        id=entry["id"],
        sweep=entry["sweep"],
        gpu=entry["gpu"],
        n_gpus=entry["n_gpus"],
        model=entry["model"],
        weights=entry["weights"],
        engine=entry["engine"],
        engine_version=entry["engine_version"],
        task=entry["task"],
        source=entry["source"],
        tensor_parallel=entry["tensor_parallel"],
        expert_parallel=entry["expert_parallel"],
        output_tokens=float(entry["output_tokens"]),
        input_tokens=entry.get("input_tokens"),
        prefill_tokens_per_s=entry.get("prefill_tokens_per_s"),
        power_basis=entry["power"],
        starved="limit" in table and bool(table["batch"][-1] < _FILLED * table["limit"][-1]),
        batch=table["batch"],
        ttft_s=ttft_s,
        **measured,
    )


def _measured(table: dict[str, Floats]) -> dict[str, Floats]:
    return {
        "tokens_per_s": table["tokens_per_s"],
        "itl_p50_s": table["itl_p50_ms"] / 1e3,
        "itl_p90_s": table["itl_p90_ms"] / 1e3,
        "itl_p99_s": table["itl_p99_ms"] / 1e3,
        "power_w": table["power_w"],
    }


def _by_little(table: dict[str, Floats], entry: dict[str, Any]) -> dict[str, Floats]:
    """A closed-loop sweep of first-token and token times; throughput follows by Little's law.

    Power was not measured there: 72 % of board power at batch 64, 3.9 % more for each doubling.
    """
    output = entry["output_tokens"]
    ttft_s, tpot_s = table["ttft_ms"] / 1e3, table["tpot_ms"] / 1e3
    doublings = np.log2(table["batch"] / 64.0)
    return {
        "tokens_per_s": table["batch"] * output / (ttft_s + (output - 1) * tpot_s),
        "itl_p50_s": tpot_s,
        "itl_p90_s": tpot_s,
        "itl_p99_s": tpot_s,
        "power_w": BOARD_POWER_W[entry["gpu"]] * _ASSUMED_SHARE * _ASSUMED_STEP**doublings,
    }
