"""Advice rules: one YAML file each, checked when read, with a condition in CEL over short names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import cel
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from advisor.advise.facts import FACTS

_CHECKOUT = Path(__file__).resolve().parents[2] / "rules"
_INSTALLED = Path(__file__).resolve().parents[1] / "_data" / "rules"


class RuleError(ValueError):
    """A rule file that cannot be used; the message names the file and what to change."""


class Ratio(BaseModel):
    """Measured tokens/s after over before: the 5th percentile, the median and the 95th."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(gt=0)
    expected: float = Field(gt=0)
    high: float = Field(gt=0)


class Record(BaseModel):
    """Published pairs of measurements that differ in nothing but what the rule proposes.

    `load` says whether both had the same requests in flight or each its own saturating load.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: str
    load: Literal["same", "saturated"]
    ratio: Ratio
    pairs: int = Field(gt=0)
    architectures: int = Field(gt=0)
    source: str


class Examples(BaseModel):
    """Facts under which the rule fires, does not, and cannot say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fires: Mapping[str, float]
    does_not: Mapping[str, float]
    not_enough_data: Mapping[str, float]


class Propose(BaseModel):
    """What is proposed: exactly one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_sequences: Literal["larger"] | None = None
    weights: Literal["fp8", "nvfp4"] | None = None
    kv: Literal["fp8"] | None = None
    tensor_parallel: Literal["smaller"] | None = None
    release: Literal["instance"] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Propose:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("propose exactly one change")
        return self

    @property
    def knob(self) -> str:
        """The one setting that changes."""
        return next(iter(self.model_dump(exclude_none=True)))


class Rule(BaseModel):
    """One rule as written. `needs` decides "not enough data" before `when` is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    id: str
    version: int = Field(ge=1)
    maturity: Literal["experimental", "stable"]
    lever: Literal["precision", "batch", "parallelism", "consolidation"]
    target: Literal["instance"]
    title: str
    why: str
    needs: tuple[str, ...] = Field(min_length=1)
    minimum_hours: float = Field(ge=0)
    when: str
    propose: Propose
    after: tuple[str, ...] = ()
    restart: bool
    effort: Literal["low", "medium", "high"]
    quality_gate: str | None = None
    steps: tuple[str, ...] = Field(min_length=1)
    rollback: str
    records: tuple[Record, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    examples: Examples

    @model_validator(mode="after")
    def _names_are_known(self) -> Rule:
        unknown = [name for name in self.needs if name not in FACTS]
        if unknown:
            raise ValueError(f"needs names that no fact has: {unknown}")
        for text in (self.when, *(record.when for record in self.records)):
            missing = set(cel.compile(text).variables()) - set(FACTS)
            if missing:
                raise ValueError(f"condition {text!r} uses unknown names {sorted(missing)}")
            outside = set(cel.compile(text).variables()) - set(self.needs)
            if outside:
                raise ValueError(f"condition uses {sorted(outside)} which `needs` does not list")
        if self.lever == "precision" and not self.quality_gate:
            raise ValueError("a change of precision needs a quality_gate")
        return self


def holds(condition: str, facts: Mapping[str, float]) -> bool:
    """Whether a condition is true of these facts."""
    return bool(_program(condition).execute({name: float(v) for name, v in facts.items()}))


@cache
def _program(condition: str) -> cel.Program:
    return cel.compile(condition)


def read_rule(path: Path) -> Rule:
    """One rule file.

    Raises:
        RuleError: if it is not YAML, lacks a field, or is not called what its id says.
    """
    try:
        rule = Rule.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError, ValueError) as error:
        raise RuleError(f"rule {path}: {error}") from error
    if path.stem != rule.id:
        raise RuleError(f"rule {path}: its id is {rule.id!r}; call the file {rule.id}.yaml")
    return rule


def rules_folder() -> Path:
    """Where the shipped rules are: the checkout if this is one, else the installed data."""
    return _CHECKOUT if _CHECKOUT.is_dir() else _INSTALLED


@cache
def load_rules(folder: Path | None = None) -> tuple[Rule, ...]:
    """All rules of a folder, by id; the shipped ones by default."""
    return tuple(read_rule(path) for path in _files(folder or rules_folder()))


def _files(folder: Path) -> Iterable[Path]:
    found = sorted(folder.glob("*.yaml"))
    if not found:
        raise RuleError(f"no rules in {folder}: reinstall, or name a folder that has some")
    return found
