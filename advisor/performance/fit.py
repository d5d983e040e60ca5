"""The fitted constants, with the rows behind them and the errors they left: read from data/fit.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from advisor.catalog.gpus import kind
from advisor.performance.configuration import Configuration
from advisor.performance.step import Constants

_OLD_VLLM = (0, 12)
"""vLLM before this release is fitted apart: on Blackwell the same sweep took twice as long with 0.11."""


def engine_word(c: Configuration) -> str:
    """The engine as the fit tells releases apart; an unknown version is taken as a recent one."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", c.engine_version or "")[:2])
    dotted = re.match(r"v?\d+\.\d+", c.engine_version or "")
    return "vllm-0.11" if c.engine == "vllm" and dotted and numbers < _OLD_VLLM else c.engine


def group_of(c: Configuration) -> tuple[str, str, str]:
    """GPU generation, engine and weight precision: what shares one set of constants."""
    return c.gpu.generation, engine_word(c), c.weights


@dataclass(frozen=True, slots=True)
class Group:
    """Constants of one group, the rows and architectures that decided them and the batches they span.

    `batches` are decoding sequences a GPU; `left_out_error` the mean absolute log error of times per
    token over architectures left out of the fit, None where the group has but one row.
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
    groups: Mapping[str, Group]
    power: Mapping[str, PowerLaw]
    power_measured: tuple[str, ...]
    residuals: Mapping[str, Mapping[str, Residual]]
    errors: Mapping[str, Any] = field(default_factory=dict)

    def constants(self, c: Configuration) -> Constants:
        """Those of the group, else of its GPU generation and engine, else of everything."""
        generation, engine, weights = group_of(c)
        group = self.groups.get(f"{generation}|{engine}|{weights}")
        if group is not None:
            return group.constants
        return self.engines.get(f"{generation}|{engine}", self.default)

    def covers(self, c: Configuration, decoding_per_gpu: float) -> bool:
        """Whether the group has rows and this batch lies within theirs."""
        group = self.groups.get("|".join(group_of(c)))
        if group is None:
            return False
        low, high = group.batches
        return low <= decoding_per_gpu <= high

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
        groups={key: _group(value) for key, value in document["groups"].items()},
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
