"""What a rule proposes for an instance: configurations tried, the one kept, why others were not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from advisor.advise.recommendation import Considered
from advisor.advise.rules import Rule
from advisor.performance.configuration import Configuration
from advisor.performance.effect import Performance
from advisor.performance.fit import Fit
from advisor.performance.memory import fits
from advisor.score.attainable import (
    SMALLER_MARGIN,
    WIDEST_BATCH,
    at_demand,
    keeps_objective,
    on_fewer,
    roomiest,
    tpot_p95,
    what_if,
)
from advisor.score.situation import Situation

_SAME = 1.02
"""A larger batch must deliver this much more to be preferred to a smaller one."""


@dataclass(frozen=True)
class Candidate:
    """A configuration kept, with its performance; None where it is not what decides.

    `same_load` is with today's requests in flight, `same_demand` with today's tokens/s.
    """

    now: str
    proposed: str
    configuration: Configuration | None
    same_load: Performance | None
    same_demand: Performance | None
    considered: tuple[Considered, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """Nothing is proposed, and why."""

    reason: str
    considered: tuple[Considered, ...] = ()


def candidate(
    rule: Rule, situation: Situation, fit: Fit, level: int | None = None
) -> Candidate | Dropped:
    """What the rule proposes for this instance; `level` is a size that its group agreed on."""
    change = rule.propose
    configuration = situation.configuration
    if change.release:
        return Candidate(str(len(situation.instance.gpu_ids)), "0", configuration, None, None)
    if configuration is None:
        return Dropped(f"unknown: {', '.join(situation.unknown)}")
    if change.max_sequences:
        return _larger_batch(situation, configuration, fit, level)
    if change.tensor_parallel:
        return _fewer_gpus(situation, configuration, fit, level)
    if change.weights:
        leaner = replace(configuration, weights=change.weights)
        return _leaner(situation, leaner, configuration.weights, change.weights, fit)
    leaner = replace(configuration, kv=change.kv or configuration.kv)
    return _leaner(situation, leaner, configuration.kv, leaner.kv, fit)


def level_of(found: Candidate, rule: Rule) -> int | None:
    """The size a candidate chose, for the others of its group to take; None where it has none."""
    if found.configuration is None:
        return None
    if rule.propose.max_sequences:
        return found.configuration.max_sequences
    if rule.propose.tensor_parallel:
        return found.configuration.tensor_parallel
    return None


def _larger_batch(
    situation: Situation, configuration: Configuration, fit: Fit, level: int | None
) -> Candidate | Dropped:
    """Powers of two above the limit up to the demand: the most tokens/s inside memory and limit."""
    limit, load = configuration.max_sequences, situation.load
    if limit is None or load is None:
        return Dropped("the batch limit or the load is unknown")
    wanted = load.concurrency / configuration.data_parallel
    room = roomiest(situation, configuration) / configuration.data_parallel
    kept: list[tuple[Configuration, Performance]] = []
    considered: list[Considered] = []
    for size in [level] if level else _sizes(limit, wanted):
        proposed = replace(configuration, max_sequences=size)
        performance = what_if(situation, proposed, fit)
        reason = _too_much(situation, performance, min(size, wanted), room)
        if performance is not None and reason is None:
            kept.append((proposed, performance))
        else:
            considered.append(Considered(f"a limit of {size}", reason or "cannot be predicted"))
    if not kept:
        return Dropped("no larger limit stays inside memory and latency", tuple(considered))
    best = max(p.output_tokens_per_s.expected for _, p in kept)
    proposed, performance = next(
        (c, p) for c, p in kept if p.output_tokens_per_s.expected * _SAME >= best
    )
    rest = [c for c, _ in kept if c != proposed]
    considered += [
        Considered(f"a limit of {c.max_sequences}", _not_chosen(c, proposed)) for c in rest
    ]
    return Candidate(
        str(limit), str(proposed.max_sequences), proposed, performance, None, tuple(considered)
    )


def _sizes(limit: int, wanted: float) -> Iterator[int]:
    size = 1 << limit.bit_length()
    yield size
    while size < min(wanted, WIDEST_BATCH):
        size *= 2
        yield size


def _not_chosen(other: Configuration, chosen: Configuration) -> str:
    smaller = (other.max_sequences or 0) < (chosen.max_sequences or 0)
    return "fewer tokens/s" if smaller else "no more tokens/s for the demand that was there"


def _too_much(
    situation: Situation, performance: Performance | None, running: float, room: float
) -> str | None:
    if running > room:
        return f"memory holds {room:.0f} requests of this length"
    if performance is None or not performance.fits:
        return "does not fit the memory"
    if not keeps_objective(situation, performance):
        expected = tpot_p95(situation, performance) or 0.0
        limit = situation.objective.tpot_p95_s
        return f"TPOT p95 would be {expected:.3g} s where {limit:.3g} s are promised"
    return None


def _fewer_gpus(
    situation: Situation, configuration: Configuration, fit: Fit, level: int | None
) -> Candidate | Dropped:
    """The narrowest tensor-parallel group that carries the busiest hours inside the limit."""
    considered: list[Considered] = []
    kept: tuple[Configuration, Performance] | None = None
    tensor = configuration.tensor_parallel // 2
    while tensor >= max(level or 1, 1):
        proposed = on_fewer(configuration, tensor)
        performance, reason = _carries(situation, proposed, fit)
        if performance is not None:
            kept = (proposed, performance)
        else:
            considered.append(Considered(f"{proposed.gpus} GPUs", reason))
        tensor //= 2
    if kept is None:
        return Dropped("fewer GPUs would not carry the load", tuple(considered))
    proposed, performance = kept
    return Candidate(
        str(configuration.gpus),
        str(proposed.gpus),
        proposed,
        None,
        performance,
        tuple(considered),
    )


def _carries(
    situation: Situation, proposed: Configuration, fit: Fit
) -> tuple[Performance | None, str]:
    """The performance at today's tokens/s, or None and why a configuration cannot carry them."""
    demand = situation.measured.busy_output_tokens_per_s
    busiest = situation.workload.tokens_per_s_p95
    load = situation.load
    if demand is None or busiest is None or load is None:
        return None, "the demand is unknown"
    if not fits(proposed, load).fits:
        return None, "weights and cache do not fit the memory"
    peak = at_demand(situation, proposed, max(busiest, demand), fit)
    usual = at_demand(situation, proposed, demand, fit)
    if peak is None or usual is None:
        return None, f"cannot deliver the {busiest:.0f} tokens/s of the busiest hours"
    if not keeps_objective(situation, peak, SMALLER_MARGIN):
        expected = tpot_p95(situation, peak) or 0.0
        limit = situation.objective.tpot_p95_s * SMALLER_MARGIN
        return None, f"TPOT p95 would be {expected:.3g} s in the busiest hours, above {limit:.3g} s"
    return usual, ""


def _leaner(
    situation: Situation, proposed: Configuration, now: str, then: str, fit: Fit
) -> Candidate | Dropped:
    """Another precision, with today's requests in flight."""
    performance = what_if(situation, proposed, fit)
    if performance is None:
        return Dropped("the load or what it delivers is unknown")
    if not performance.fits:
        return Dropped("weights and cache do not fit the memory")
    if not keeps_objective(situation, performance):
        return Dropped("TPOT p95 would leave the limit")
    return Candidate(now, then, proposed, performance, None)
