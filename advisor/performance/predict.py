"""What a configuration will deliver, cold or as a ratio on what was measured, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from advisor.performance.configuration import Configuration, Load, Observed
from advisor.performance.effect import Evidence, Interval, Performance
from advisor.performance.fit import Fit, precision_regime
from advisor.performance.memory import MemoryFit, fits
from advisor.performance.power import activity, watts
from advisor.performance.steady import Steady, sequence_limit, settle
from advisor.performance.step import step_time
from advisor.performance.work import step_work

_NEAR = 2.0
"""A change of running sequences up to this factor is near; further ones err more."""
Spread = tuple[float, float]
"""How far ln(true / expected) may lie below and above zero, as two positive numbers."""


@dataclass(frozen=True, slots=True)
class Point:
    """One settled instance by the fitted constants, without intervals."""

    configuration: Configuration
    steady: Steady
    memory: MemoryFit
    limit: float
    running: float
    waiting: float
    ttft_s: float
    power_w: float
    inside: bool
    bottleneck: str


def point(c: Configuration, load: Load, fit: Fit) -> Point:
    """The expected state of an instance under `load`; what does not fit in the batch waits."""
    memory = fits(c, load)
    limit = max(1.0, min(sequence_limit(c), memory.max_concurrency))
    running = min(max(load.concurrency, 1e-3), limit)
    constants = fit.constants(c)
    served = Load(running, load.input_tokens, load.output_tokens, load.prefix_hit_ratio)
    steady = settle(c, served, constants, running)
    requests_per_s = steady.output_tokens_per_s / load.output_tokens
    waiting = max(0.0, load.concurrency - limit)
    per_gpu = steady.decoding * c.data_parallel * c.pipeline_parallel / c.gpus
    return Point(
        configuration=c,
        steady=steady,
        memory=memory,
        limit=limit,
        running=running,
        waiting=waiting,
        ttft_s=steady.ttft_s * fit.first_token_factor(c) + waiting / requests_per_s,
        power_w=watts(c, activity(c, steady), fit.power_law(c)),
        inside=fit.covers(c, per_gpu),
        bottleneck=_bottleneck(c, steady, fit, waiting=waiting, memory=memory),
    )


def _bottleneck(
    c: Configuration, steady: Steady, fit: Fit, *, waiting: float, memory: MemoryFit
) -> str:
    """What holds the instance: a limit with requests waiting, else its steps' longest part."""
    if waiting > 0:
        return "kv_capacity" if memory.max_concurrency < sequence_limit(c) else "queue"
    constants = fit.constants(c)
    totals: dict[str, float] = {}
    for share, batch in (
        (1.0 - steady.mix.share, steady.mix.plain),
        (steady.mix.share, steady.mix.mixed),
    ):
        work = step_work(c, batch)
        step = step_time(work, constants)
        memory_s = work.weight_memory_s / constants.memory_efficiency
        compute_s = work.weight_compute_s / constants.compute_efficiency
        word = "compute" if compute_s > memory_s else "memory_bandwidth"
        for name, seconds in (
            (word, step.weights_s + step.experts_s + step.attention_s),
            ("interconnect", step.communication_s),
            ("host", step.overhead_s),
        ):
            totals[name] = totals.get(name, 0.0) + share * seconds
    return max(totals, key=totals.__getitem__)


def predict(
    configuration: Configuration, load: Load, fit: Fit, *, usd_per_gpu_hour: float | None = None
) -> Performance:
    """Cold: from the fitted constants alone, with the intervals of architectures left out.

    Whole-instance tokens/s. A configuration that does not fit has `fits` false, and its figures
    only say what it would do with more memory.
    """
    at = point(configuration, load, fit)
    evidence = Evidence.INTERPOLATED if at.inside else Evidence.EXTRAPOLATED
    expected = _expected(at)
    spreads = {name: _spread(fit, ("cold",), name) for name in expected}
    notes = () if at.memory.fits else ("weights and one sequence do not fit the memory",)
    return _performance(
        at,
        fit,
        expected,
        spreads,
        evidence,
        basis="cold",
        regimes=("cold",),
        usd_per_gpu_hour=usd_per_gpu_hour,
        notes=notes,
    )


def change(  # noqa: PLR0917 - before, after and what was measured: read in this order
    now: Configuration,
    now_load: Load,
    proposed: Configuration,
    proposed_load: Load,
    observed: Observed,
    fit: Fit,
    *,
    usd_per_gpu_hour: float | None = None,
) -> Performance:
    """The proposed configuration: the model's ratio of both times what was measured.

    A quantity that was not measured is predicted cold, with cold intervals, and a note says so.
    """
    before, after = point(now, now_load, fit), point(proposed, proposed_load, fit)
    regimes = levers(before, after, fit)
    measured: Mapping[str, float | None] = {
        "output_tokens_per_s": observed.output_tokens_per_s,
        "tpot_s": observed.tpot_s,
        "ttft_s": observed.ttft_s,
        "power_w": observed.power_w,
    }
    old, new = _expected(before), _expected(after)
    expected, spreads, notes = {}, {}, []
    for name, value in measured.items():
        queued = name == "ttft_s" and (before.waiting > 0 or after.waiting > 0)
        if value is None or queued:
            expected[name], spreads[name] = new[name], _spread(fit, ("cold",), name)
            why = "waits in a queue now or then" if queued else "was not measured"
            notes.append(f"{name} {why}: predicted cold")
            continue
        expected[name] = value * new[name] / old[name]
        spreads[name] = _spread(fit, regimes, name)
    if not after.memory.fits:
        notes.append("weights and one sequence do not fit the memory")
    inside = before.inside and after.inside
    return _performance(
        after,
        fit,
        expected,
        spreads,
        Evidence.INTERPOLATED if inside else Evidence.EXTRAPOLATED,
        basis="observed",
        regimes=regimes,
        usd_per_gpu_hour=usd_per_gpu_hour,
        notes=tuple(notes),
    )


def levers(before: Point, after: Point, fit: Fit) -> tuple[str, ...]:
    """The regimes of error that a change touches: precision, parallelism, batch."""
    now, proposed = before.configuration, after.configuration
    found = []
    if (now.weights, now.kv) != (proposed.weights, proposed.kv):
        regime = precision_regime(now, proposed)
        found.append(regime if regime in fit.residuals else "precision")
    if _layout(now) != _layout(proposed):
        found.append("parallel")
    ratio = (after.running / proposed.gpus) / (before.running / now.gpus)
    far = max(ratio, 1.0 / ratio)
    if far > 1.05 or not found:
        found.append("batch_near" if far <= _NEAR else "batch_far")
    return tuple(found)


def _layout(c: Configuration) -> tuple[int, ...]:
    return c.gpus, c.tensor_parallel, c.pipeline_parallel, c.data_parallel, c.expert_parallel


def _expected(at: Point) -> dict[str, float]:
    return {
        "output_tokens_per_s": at.steady.output_tokens_per_s,
        "tpot_s": at.steady.tpot_s,
        "ttft_s": at.ttft_s,
        "power_w": at.power_w,
    }


def _spread(fit: Fit, regimes: tuple[str, ...], quantity: str) -> Spread:
    """Independent errors of several levers add as squares of logarithms."""
    found = [
        fit.residuals[regime].get(quantity, fit.residuals["cold"][quantity]) for regime in regimes
    ]
    return (
        math.hypot(*(min(residual.low, 0.0) for residual in found)),
        math.hypot(*(max(residual.high, 0.0) for residual in found)),
    )


def _interval(expected: float, spread: Spread, evidence: Evidence) -> Interval:
    below, above = spread
    return Interval(expected * math.exp(-below), expected, expected * math.exp(above), evidence)


def _weaker(one: Evidence, other: Evidence) -> Evidence:
    order = list(Evidence)
    return max(one, other, key=order.index)


def _within_limit(c: Configuration, power_w: float, spread: Spread) -> Spread:
    """No part draws beyond its limit for long, whatever errors of the past say."""
    below, above = spread
    return below, min(above, max(0.0, math.log(c.gpu.tdp_w / power_w)))


def _performance(
    at: Point,
    fit: Fit,
    expected: Mapping[str, float],
    spreads: Mapping[str, Spread],
    evidence: Evidence,
    *,
    basis: str,
    regimes: tuple[str, ...],
    usd_per_gpu_hour: float | None,
    notes: tuple[str, ...],
) -> Performance:
    c = at.configuration
    power_evidence = evidence if fit.measured_power(c) else _weaker(evidence, Evidence.EXTRAPOLATED)
    below, above = spreads["output_tokens_per_s"]
    power = power_below, power_above = _within_limit(c, expected["power_w"], spreads["power_w"])
    rate = expected["output_tokens_per_s"]
    per_token = (math.hypot(above, power_below), math.hypot(below, power_above))
    usd = None
    if usd_per_gpu_hour is not None:
        usd_per_million = c.gpus * usd_per_gpu_hour / 3600.0 / rate * 1e6
        usd = _interval(usd_per_million, (above, below), evidence)
    return Performance(
        output_tokens_per_s=_interval(rate, spreads["output_tokens_per_s"], evidence),
        ttft_s=_interval(expected["ttft_s"], spreads["ttft_s"], evidence),
        tpot_s=_interval(expected["tpot_s"], spreads["tpot_s"], evidence),
        power_w=_interval(expected["power_w"], power, power_evidence),
        joules_per_output_token_gpu=_interval(
            c.gpus * expected["power_w"] / rate, per_token, power_evidence
        ),
        usd_per_million_output_tokens=usd,
        fits=at.memory.fits,
        max_concurrency=at.limit,
        bottleneck=at.bottleneck,
        architectures=min(
            fit.residuals[regime]["output_tokens_per_s"].architectures for regime in regimes
        ),
        basis=basis,
        notes=notes,
    )
