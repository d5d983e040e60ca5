"""The Jinja environment of pages and mail: templates, filters and the words they share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from advisor.api.models import InstanceResource
from advisor.pages import numbers, words
from advisor.pages.scope import RANGE_WORDS
from advisor.performance.effect import Evidence

EVIDENCE_BRIEFS = {
    Evidence.MEASURED: "seen in this fleet's own telemetry",
    Evidence.INTERPOLATED: "between conditions that were measured",
    Evidence.EXTRAPOLATED: "beyond conditions that were measured",
    Evidence.ASSUMED: "rests on an assumption that nobody measured",
}
SORT_WORDS = {
    "to_win": "money to win",
    "score": "score",
    "idle": "idle cost",
    "cost": "cost",
    "name": "name",
}


def templates_folder() -> Path:
    """The checkout's templates, else those inside the installed package."""
    here = Path(__file__).resolve()
    checkout = here.parents[2] / "templates"
    return checkout if checkout.is_dir() else here.parents[1] / "_data" / "templates"


def parallel(instance: InstanceResource) -> str:
    """How an instance is spread over its GPUs: TP4, or TP2 PP2."""
    parts = {
        "TP": instance.tensor_parallel,
        "PP": instance.pipeline_parallel,
        "DP": instance.data_parallel,
        "EP": instance.expert_parallel,
    }
    shown = [f"{name}{size}" for name, size in parts.items() if size and (size > 1 or name == "TP")]
    return " ".join(shown) or numbers.ABSENT


@cache
def environment() -> Environment:
    """The one environment; an undefined name in a template is an error."""
    made = Environment(
        loader=FileSystemLoader(templates_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "significant": numbers.significant,
        "scaled": numbers.scaled,
        "usd": numbers.usd,
        "usd2": lambda value: numbers.usd(value, 2),
        "percent": numbers.percent,
        "milliseconds": numbers.milliseconds,
        "exact": numbers.exact,
        "moment": numbers.moment,
        "engine": words.engine,
        "diagnosis": words.diagnosis,
        "parallel": parallel,
    }
    made.globals |= {
        "dimension_names": words.DIMENSION,
        "evidence_briefs": {key.value: brief for key, brief in EVIDENCE_BRIEFS.items()},
        "evidence_marks": words.EVIDENCE_MARK,
        "ranges": RANGE_WORDS,
        "sorts": SORT_WORDS,
    }
    return made


@cache
def plain_environment() -> Environment:
    """The same environment for plain text, where nothing is escaped."""
    return environment().overlay(autoescape=False)


def render(name: str, **values: object) -> str:
    """A template filled in."""
    return environment().get_template(name).render(**values)
