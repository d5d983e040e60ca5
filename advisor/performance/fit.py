"""The fitted constants with the rows behind them and the errors they left, from data/fit.json."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from advisor.catalog.gpus import kind
from advisor.catalog.precisions import BYTES
from advisor.performance.configuration import Configuration
from advisor.performance.step import Constants

_OLD_VLLM = (0, 12)
"""vLLM before this release is fitted apart: with 0.11 Blackwell took half as long again."""


def engine_word(c: Configuration) -> str:
    """The engine as the fit tells releases apart; an unknown version is taken as a recent one."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", c.engine_version or "")[:2])
    dotted = re.match(r"v?\d+\.\d+", c.engine_version or "")
    return "vllm-0.11" if c.engine == "vllm" and dotted and numbers < _OLD_VLLM else c.engine


def precision_word(c: Configuration) -> str:
    """Weight precision, told apart for mixtures: their kernels gain less from narrow weights."""
    return f"{c.weights}-moe" if c.architecture.experts else c.weights


def precision_regime(one: Configuration, other: Configuration) -> str:
    """The regime of error of a step between two precisions, whichever way it goes."""
    lighter, heavier = sorted((one, other), key=lambda c: BYTES[c.weights])
    return f"precision {precision_word(heavier)} {precision_word(lighter)}"


def group_of(c: Configuration) -> tuple[str, str, str]:
    """GPU generation, engine and precision class: what shares one set of constants."""
    return c.gpu.generation, engine_word(c), precision_word(c)


HIGHEST = Constants(1.0, 1.0, 1.0, 0.95, 1e-3, 1e-3, 1e-3, 2e-2, 1e-4)
"""No efficiency above one, no overhead beyond reason."""


def shifted(base: Constants, offset: Mapping[str, float]) -> Constants:
    """Constants moved by natural logarithms, kept under their bounds."""
    moved = {
        name: min(getattr(base, name) * math.exp(by), getattr(HIGHEST, name))
        for name, by in offset.items()
    }
    return replace(base, **moved)


@dataclass(frozen=True, slots=True)
class Group:
    """Constants of one group, the rows and architectures behind them, the batches they span.

    `batches` are decoding sequences a GPU; `left_out_error` is the mean absolute log error of times
    per token with the row's architecture left out of the fit.
    """

    constants: Constants
    rows: int
    architectures: tuple[str, ...]
    batches: tuple[float, float]
    left_out_error: float | None = None


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """ln(watts / TDP) over the activities of memory and arithmetic and the batch; see power.py."""

    intercept: float
    memory: float
    compute: float
    batch: float


@dataclass(frozen=True, slots=True)
class Residual:
    """5th and 95th percentile of ln(measured / predicted) with the architecture left out."""

    low: float
    high: float
    rows: int
    architectures: int


@dataclass(frozen=True)
class Fit:
    """Everything calibration found. Keys of groups and engines are joined by a bar.

    `residuals` maps a regime (cold, batch_near, batch_far, precision, parallel) to quantities.
    """

    date: str
    rows: int
    sweeps: tuple[str, ...]
    default: Constants
    engines: Mapping[str, Constants]
    offsets: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, Group]
    first_token: Mapping[str, float]
    power: Mapping[str, PowerLaw]
    power_measured: tuple[str, ...]
    residuals: Mapping[str, Mapping[str, Residual]]
    errors: Mapping[str, Any] = field(default_factory=dict)

    def constants(self, c: Configuration) -> Constants:
        """Those of the group, else of its engine or of everything, moved by the precision."""
        generation, engine, precision = group_of(c)
        group = self.groups.get(f"{generation}|{engine}|{precision}")
        if group is not None:
            return group.constants
        base = self.engines.get(f"{generation}|{engine}", self.default)
        return shifted(base, self.offsets.get(precision, {}))

    def covers(self, c: Configuration, decoding_per_gpu: float) -> bool:
        """Whether the group has rows and this batch lies within theirs."""
        group = self.groups.get("|".join(group_of(c)))
        if group is None:
            return False
        low, high = group.batches
        return low <= decoding_per_gpu <= high

    def first_token_factor(self, c: Configuration) -> float:
        """How much longer first tokens take than prefill and its queue explain, by engine."""
        return self.first_token.get(c.engine, self.first_token["all"])

    def power_law(self, c: Configuration) -> PowerLaw:
        """The law of the generation, else the one over all measured watts."""
        return self.power.get(c.gpu.generation, self.power["all"])

    def measured_power(self, c: Configuration) -> bool:
        """Whether watts of this GPU under this engine stand behind the power law."""
        return f"{kind(c.gpu)}|{c.engine}" in self.power_measured


def parse(document: Mapping[str, Any]) -> Fit:
    """A fit from its JSON document."""
    return Fit(
        date=document["date"],
        rows=document["rows"],
        sweeps=tuple(document["sweeps"]),
        default=Constants(**document["default"]),
        engines={key: Constants(**value) for key, value in document["engines"].items()},
        offsets=document["offsets"],
        groups={key: _group(value) for key, value in document["groups"].items()},
        first_token=document["first_token"],
        power={key: PowerLaw(**value) for key, value in document["power"].items()},
        power_measured=tuple(document["power_measured"]),
        residuals={
            regime: {quantity: Residual(**value) for quantity, value in quantities.items()}
            for regime, quantities in document["residuals"].items()
        },
        errors=document["errors"],
    )


def _group(value: Mapping[str, Any]) -> Group:
    return Group(
        constants=Constants(**value["constants"]),
        rows=value["rows"],
        architectures=tuple(value["architectures"]),
        batches=(value["batches"][0], value["batches"][1]),
        left_out_error=value["left_out_error"],
    )


@cache
def load() -> Fit:
    """The fit that ships with Joulewise."""
    text = files("advisor.performance").joinpath("data/fit.json").read_text(encoding="utf-8")
    return parse(json.loads(text))
