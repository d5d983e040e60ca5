"""Priced candidates of like instances as one recommendation: words, diff, fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from advisor.advise.flags import diff, short
from advisor.advise.intervals import total
from advisor.advise.pricing import Priced
from advisor.advise.recommendation import EffectRow, FlagChange, Recommendation
from advisor.advise.rules import Rule
from advisor.performance.effect import Interval
from advisor.score.situation import Situation

_SUMMED = "output_tokens_per_s"

WORDS = frozenset(("target", "model", "weights", "url", "now", "proposed", "plural", "all_gpus"))
"""What the texts of a rule may name besides facts."""


@dataclass(frozen=True)
class Case:
    """A rule that fired on one instance, and what its proposal is worth."""

    rule: Rule
    situation: Situation
    facts: Mapping[str, float]
    diagnosis: str
    priced: Priced


def compose(cases: Sequence[Case], now: datetime) -> Recommendation:
    """One recommendation of cases that share rule, deployment and change."""
    first = cases[0]
    rule, situation = first.rule, first.situation
    nodes = tuple(sorted({case.situation.instance.host_id for case in cases}))
    deployment = situation.deployment
    kind, target = ("node", nodes[0]) if len(nodes) == 1 else ("deployment", _purpose(situation))
    words = _words(cases, nodes)
    change = diff(rule, situation, first.priced.candidate)
    return Recommendation(
        id=fingerprint(rule.id, (kind, target, _purpose(situation)), change),
        rule_id=rule.id,
        rule_version=rule.version,
        lever=rule.lever,
        title=rule.title.format_map(words),
        target_kind=kind,
        target_id=target,
        node_ids=nodes,
        deployment=deployment.name if deployment else None,
        change=change,
        effects=_effects(cases),
        cost_usd_per_month=_sum([case.priced.cost_usd_per_month for case in cases]),
        energy_kwh_per_month=_sum([case.priced.energy_kwh_per_month for case in cases]),
        cash=first.priced.cash,
        restart_needed=rule.restart,
        effort=rule.effort,
        exclusive_group=f"{target}/{_purpose(situation)}",
        why=rule.why.format_map(words),
        diagnosis=first.diagnosis,
        figures=_figures(cases),
        quality_gate=rule.quality_gate.format_map(words) if rule.quality_gate else None,
        steps=rule.steps,
        rollback=rule.rollback,
        considered=first.priced.candidate.considered,
        assumptions=_assumptions(first),
        first_seen=now,
        last_seen=now,
        instance_ids=tuple(case.situation.instance.id for case in cases),
    )


def fingerprint(rule_id: str, target: tuple[str, ...], change: Sequence[FlagChange]) -> str:
    """A stable id of rule, target and what is proposed; what runs today is not part of it."""
    proposed = [(line.key, line.proposed) for line in change]
    text = json.dumps([rule_id, target, proposed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _purpose(situation: Situation) -> str:
    """The deployment, or the model where none was declared."""
    if situation.deployment is not None:
        return situation.deployment.name
    return short(situation.instance.model)


def _words(cases: Sequence[Case], nodes: Sequence[str]) -> dict[str, float | str]:
    """What titles and reasons of a rule may name: its facts and a few words."""
    first = cases[0]
    found = first.priced.candidate
    where = nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
    configuration = first.situation.configuration
    return {
        **_mean_facts(cases),
        "target": f"{_purpose(first.situation)} on {where}",
        "model": short(first.situation.instance.model),
        "weights": configuration.weights.upper() if configuration else "",
        "url": f"http://{first.situation.instance.id}/v1/completions",
        "now": found.now,
        "proposed": found.proposed,
        "all_gpus": sum(len(case.situation.instance.gpu_ids) for case in cases),
        "plural": "" if found.proposed == "1" else "s",
    }


def _figures(cases: Sequence[Case]) -> dict[str, float]:
    """The facts the rule asked for, and how many hours and instances are behind them."""
    means = _mean_facts(cases)
    asked = ("hours", *cases[0].rule.needs)
    return {name: means[name] for name in asked if name in means} | {"instances": float(len(cases))}


def _mean_facts(cases: Sequence[Case]) -> dict[str, float]:
    names = set.intersection(*(set(case.facts) for case in cases))
    return {name: sum(case.facts[name] for case in cases) / len(cases) for name in sorted(names)}


def _effects(cases: Sequence[Case]) -> tuple[EffectRow, ...]:
    """Tokens/s of all instances together; everything else as their mean by tokens."""
    tables = [{row.quantity: row for row in case.priced.effects} for case in cases]
    weights = [_tokens(table) for table in tables]
    first = [row.quantity for row in cases[0].priced.effects]
    shared = [name for name in first if all(name in table for table in tables)]
    return tuple(_merged([table[name] for table in tables], weights) for name in shared)


def _tokens(table: Mapping[str, EffectRow]) -> float:
    row = table.get(_SUMMED)
    return row.now if row is not None and row.now else 1.0


def _merged(rows: Sequence[EffectRow], weights: Sequence[float]) -> EffectRow:
    one = rows[0]
    known = [row.now for row in rows if row.now is not None]
    if one.quantity == _SUMMED:
        now = sum(known) if len(known) == len(rows) else None
        return EffectRow(one.quantity, one.unit, now, total([row.predicted for row in rows]))
    mean = None
    if len(known) == len(rows):
        mean = sum(w * v for w, v in zip(weights, known, strict=True)) / sum(weights)
    return EffectRow(one.quantity, one.unit, mean, total([row.predicted for row in rows], weights))


def _sum(intervals: Sequence[Interval | None]) -> Interval | None:
    known = [interval for interval in intervals if interval is not None]
    return total(known) if known and len(known) == len(intervals) else None


def _assumptions(case: Case) -> dict[str, str]:
    """What the figures rest on besides telemetry."""
    limits = case.situation.objective
    found = {
        **case.priced.assumptions,
        "latency limits": (
            f"{limits.ttft_p95_s:g} s to the first token, {limits.tpot_p95_s:g} s a token "
            f"({limits.source})"
        ),
    }
    if case.situation.price_label:
        found["price"] = case.situation.price_label
    performance = case.priced.candidate.same_load or case.priced.candidate.same_demand
    if performance is not None:
        found["model"] = "; ".join(
            (f"{performance.architectures} architectures behind the intervals", *performance.notes)
        )
    return found
