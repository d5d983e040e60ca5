"""One assessment of a fleet: situations, scores, diagnoses, costs and advice, from values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from advisor.advise.advise import Bench, advise, subject_of
from advisor.advise.rules import Rule, load_rules
from advisor.assessment import Assessment
from advisor.catalog.gpus import find_gpu
from advisor.catalog.prices import PRICES, Price
from advisor.economics.cost import cost_lines
from advisor.economics.grid import gpu_grid
from advisor.economics.lookup import Lookup
from advisor.performance.fit import Fit, load
from advisor.score.attainable import Attainable, attainable
from advisor.score.cards import scorecards
from advisor.score.curve import response_curve
from advisor.score.diagnosis import diagnose, diagnose_node
from advisor.score.fleet import situations
from advisor.score.health import health
from advisor.score.objective import PROFILES, Objective
from advisor.score.result import Diagnosis
from advisor.score.scoring import SCORING
from advisor.score.situation import Situation
from advisor.summary import Fleet


@dataclass(frozen=True, slots=True)
class AssessSettings:
    """What an assessment may be told: prices, latency profiles, the least gain worth advice.

    `fit` replaces the shipped fit of the performance model, `rules` the shipped rules.
    """

    prices: tuple[Price, ...] = PRICES
    profiles: Mapping[str, Objective] = field(default_factory=lambda: dict(PROFILES))
    minimum_gain: float = 0.05
    fit: Fit | None = None
    rules: tuple[Rule, ...] | None = None


def assess(fleet: Fleet, settings: AssessSettings, *, now: datetime) -> Assessment:
    """Everything that can be said of `fleet` with these settings."""
    fit = settings.fit or load()
    types = {gpu.id: find_gpu(gpu.product) for gpu in fleet.gpus}
    grid = gpu_grid(fleet, types, settings.prices)
    paid = {line.id: line for line in cost_lines(fleet, grid, {}) if line.kind == "instance"}
    each = situations(fleet, types, settings.prices, settings.profiles, paid)
    best = {one.instance.id: attainable(one, fit) for one in each}
    reachable = {name: found.tokens_per_s if found else None for name, found in best.items()}
    diagnoses = _diagnoses(fleet, each, best)
    said = {one.id: one for one in diagnoses if one.kind == "instance"}
    subjects = [subject_of(one, best[one.instance.id], said[one.instance.id]) for one in each]
    rules = load_rules() if settings.rules is None else settings.rules
    advice = advise(rules, subjects, Bench(fit, settings.minimum_gain), now=now)
    return Assessment(
        made_at=now,
        fleet=fleet,
        scorecards=scorecards(fleet, each, best, now),
        diagnoses=diagnoses,
        measured=tuple(one.measured for one in each),
        curves=tuple(response_curve(one.rows, one.instance) for one in each),
        costs=cost_lines(fleet, grid, reachable),
        recommendations=advice.recommendations,
        not_fired=advice.not_fired,
        coverage=_coverage(each),
        notes=_notes(fleet, each),
        coefficients=_coefficients(each, fit),
    )


def _diagnoses(
    fleet: Fleet, each: Sequence[Situation], best: Mapping[str, Attainable | None]
) -> tuple[Diagnosis, ...]:
    found = {}
    for situation in each:
        reached = best[situation.instance.id]
        word = reached.bottleneck if reached else None
        found[situation.instance.id] = diagnose(situation, word)
    gpus: dict[str, list[str]] = {}
    parts: dict[str, list[tuple[float, Diagnosis]]] = {}
    for gpu in fleet.gpus:
        gpus.setdefault(gpu.host_id, []).append(gpu.id)
    for one in fleet.instances:
        parts.setdefault(one.host_id, []).append((float(len(one.gpu_ids)), found[one.id]))
    lookup = Lookup(fleet.gpu_hours.gpu_id)
    nodes = [
        diagnose_node(
            node.id, health(fleet.gpu_hours, gpus.get(node.id, ()), lookup), parts.get(node.id, ())
        )
        for node in fleet.nodes
    ]
    return (*nodes, *found.values())


def _coverage(each: Sequence[Situation]) -> float:
    """Mean share of the time that instances were observed, by GPUs; 0 without any."""
    known = [(len(one.instance.gpu_ids) or 1, one.coverage or 0.0) for one in each]
    gpus = sum(count for count, _ in known)
    return sum(count * seen for count, seen in known) / gpus if gpus else 0.0


def _notes(fleet: Fleet, each: Sequence[Situation]) -> tuple[str, ...]:
    """What keeps parts of the fleet out of the figures."""
    notes = [
        f"{one.instance.id}: no advice, unknown: {', '.join(one.unknown)}"
        for one in each
        if one.unknown
    ]
    unpriced = {one.gpu.id for one in each if one.gpu and one.usd_per_gpu_hour is None}
    notes += [f"no price is known for {gpu}: its cost is absent" for gpu in sorted(unpriced)]
    unknown = {gpu.product for gpu in fleet.gpus if find_gpu(gpu.product) is None}
    notes += [f"GPU {name!r} is not in the catalog" for name in sorted(unknown)]
    return tuple(notes)


def _coefficients(each: Sequence[Situation], fit: Fit) -> dict[str, str]:
    """The origin of every figure that was not measured here."""
    prices = {f"price:{one.gpu.id}": one.price_label for one in each if one.gpu and one.price_label}
    limits = {
        f"limits:{one.deployment.name if one.deployment else one.instance.id}": one.objective.source
        for one in each
    }
    return {
        **prices,
        **limits,
        "scoring": f"version {SCORING.version}",
        "performance_model": f"fit of {fit.date}",
    }
