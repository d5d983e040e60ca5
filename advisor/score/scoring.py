"""The weights that make scores, read from scoring.yaml and checked."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from advisor.score.result import DIMENSIONS


class IndicatorWeight(BaseModel):
    """Weight of an indicator inside its dimension, and whether it caps the dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(gt=0)
    critical: bool = False


class Scoring(BaseModel):
    """All of scoring.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    critical_margin: float = Field(ge=0)
    dimensions: Mapping[str, float]
    indicators: Mapping[str, IndicatorWeight]

    @model_validator(mode="after")
    def _knows_its_dimensions(self) -> Scoring:
        if tuple(self.dimensions) != DIMENSIONS:
            raise ValueError(
                f"scoring.yaml must weigh {DIMENSIONS}, it has {tuple(self.dimensions)}"
            )
        unknown = {name for name in self.indicators if name.partition(".")[0] not in DIMENSIONS}
        if unknown:
            raise ValueError(f"indicators of no dimension: {sorted(unknown)}")
        return self


SCORING = Scoring.model_validate(
    yaml.safe_load((files("advisor.score") / "scoring.yaml").read_text(encoding="utf-8"))
)
"""The shipped weights."""
