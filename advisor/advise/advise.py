"""From situations to advice: which rules fire, what they propose, and what was dropped and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from advisor.advise.candidates import Dropped, candidate, level_of
from advisor.advise.compose import Case, compose
from advisor.advise.facts import facts_of
from advisor.advise.flags import diff
from advisor.advise.pricing import price
from advisor.advise.recommendation import Recommendation
from advisor.advise.rules import Rule, holds
from advisor.assessment import NotFired
from advisor.catalog.engines import EngineError
from advisor.performance.fit import Fit
from advisor.score.attainable import Attainable
from advisor.score.result import Diagnosis
from advisor.score.situation import Situation

NO_ADVICE = ("telemetry_fault", "reserved")
"""Diagnoses under which nothing is advised: figures cannot be trusted, or the owner wants it so."""


@dataclass(frozen=True)
class Advice:
    """What fired, ranked, and what did not."""

    recommendations: tuple[Recommendation, ...]
    not_fired: tuple[NotFired, ...]


@dataclass(frozen=True)
class Bench:
    """What every candidate is judged by: the model's fit and the least gain worth advice."""

    fit: Fit
    minimum_gain: float


@dataclass(frozen=True)
class Subject:
    """One instance with its facts and diagnosis."""

    situation: Situation
    facts: Mapping[str, float]
    diagnosis: Diagnosis


def advise(
    rules: Sequence[Rule], subjects: Sequence[Subject], bench: Bench, *, now: datetime
) -> Advice:
    """Recommendations for these instances by these rules."""
    cases: list[Case] = []
    silent: list[NotFired] = []
    for subject in subjects:
        for rule in rules:
            found = decide(rule, subject) or case_of(rule, subject, bench)
            if isinstance(found, NotFired):
                silent.append(found)
            else:
                cases.append(found)
    groups = _across_nodes(_on_nodes(cases, bench))
    found_advice = ranked([compose(group, now) for group in groups], rules)
    return Advice(found_advice, tuple(silent))


def subject_of(situation: Situation, best: Attainable | None, diagnosis: Diagnosis) -> Subject:
    """An instance as rules see it."""
    return Subject(situation, facts_of(situation, best), diagnosis)


def decide(rule: Rule, subject: Subject) -> NotFired | None:
    """Why a rule says nothing of an instance; None where it fires."""
    facts, said = subject.facts, subject.diagnosis
    no_data = partial(NotFired, rule.id, subject.situation.instance.id, "not_enough_data")
    if said.word in NO_ADVICE:
        return no_data(f"{said.word}: {said.reason}")
    missing = [name for name in rule.needs if name not in facts]
    if missing:
        unknown = ", ".join(subject.situation.unknown)
        return no_data(
            f"no data of {', '.join(missing)}" + (f"; unknown: {unknown}" if unknown else "")
        )
    if subject.situation.unknown and not rule.propose.release:
        return no_data(f"unknown: {', '.join(subject.situation.unknown)}")
    hours = facts.get("hours", 0.0)
    if hours < rule.minimum_hours:
        return no_data(
            f"{hours:.1f} hours with this configuration, {rule.minimum_hours:.0f} are needed"
        )
    if holds(rule.when, facts):
        return None
    values = ", ".join(f"{name} {facts[name]:.3g}" for name in rule.needs)
    reason = f"{rule.when.strip()} with {values}"
    return NotFired(rule.id, subject.situation.instance.id, "condition_false", reason)


def case_of(
    rule: Rule, subject: Subject, bench: Bench, level: int | None = None
) -> Case | NotFired:
    """The worth of what a rule that fired proposes; dropped where there is none."""
    situation = subject.situation
    dropped = partial(NotFired, rule.id, situation.instance.id, "dropped")
    found = candidate(rule, situation, bench.fit, level)
    if isinstance(found, Dropped):
        tried = "; ".join(f"{c.title}: {c.reason}" for c in found.considered)
        return dropped(f"{found.reason} ({tried})" if tried else found.reason)
    priced = price(rule, situation, found, subject.facts, bench.fit)
    if priced is None:
        return dropped("what it is worth cannot be said without a price and a measured load")
    if priced.gain_low <= bench.minimum_gain:
        return dropped(
            f"the gain may be as low as {priced.gain_low:.0%}: {bench.minimum_gain:.0%} is needed"
        )
    try:
        diff(rule, situation, found)
    except EngineError as error:
        return dropped(str(error))
    return Case(rule, situation, subject.facts, subject.diagnosis.word, priced)


def _on_nodes(cases: Sequence[Case], bench: Bench) -> list[list[Case]]:
    """Like instances of one node, agreed on one size: the largest that any of them needs."""
    groups: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        host = case.situation.instance.host_id
        groups.setdefault((*_alike(case), host), []).append(case)
    return [part for group in groups.values() for part in _agreed(group, bench)]


def _alike(case: Case) -> tuple[str, ...]:
    """What instances must share to be advised together."""
    now = case.situation.configuration
    deployment = case.situation.deployment
    purpose = deployment.name if deployment else str(case.situation.instance.model)
    layout = (now.gpu.id, now.engine, now.weights, now.gpus, now.max_sequences) if now else ()
    return (case.rule.id, purpose, *(str(part) for part in layout))


def _agreed(group: list[Case], bench: Bench) -> list[list[Case]]:
    levels = {level_of(case.priced.candidate, case.rule) for case in group} - {None}
    if len(levels) < 2:
        return [group]
    level = max(size for size in levels if size is not None)
    again = [
        case_of(case.rule, Subject(case.situation, case.facts, _said(case)), bench, level)
        for case in group
    ]
    agreed = [case for case in again if isinstance(case, Case)]
    return [agreed] if len(agreed) == len(group) else [[case] for case in group]


def _said(case: Case) -> Diagnosis:
    return Diagnosis("instance", case.situation.instance.id, case.diagnosis, "", {})


def _across_nodes(groups: Sequence[list[Case]]) -> list[list[Case]]:
    """The same change for one deployment on several nodes is one recommendation."""
    merged: dict[tuple[str, ...], list[Case]] = {}
    for group in groups:
        first = group[0]
        where = first.situation.instance.host_id if first.rule.propose.release else ""
        key = (*_alike(first), first.priced.candidate.proposed, where)
        merged.setdefault(key, []).extend(group)
    return list(merged.values())


def ranked(found: Sequence[Recommendation], rules: Sequence[Rule]) -> tuple[Recommendation, ...]:
    """By dollars a month; inside an exclusive group what a rule comes after stays before it."""
    after = {rule.id: rule.after for rule in rules}
    order: list[Recommendation] = []
    for one in sorted(found, key=_saving):
        later = [
            at
            for at, other in enumerate(order)
            if other.exclusive_group == one.exclusive_group and one.rule_id in after[other.rule_id]
        ]
        order.insert(min(later, default=len(order)), one)
    return tuple(replace(one, rank=rank) for rank, one in enumerate(order, start=1))


def _saving(one: Recommendation) -> tuple[float, str]:
    cost = one.cost_usd_per_month
    return (cost.expected if cost else 0.0, one.id)
