"""What a candidate is worth: effects as intervals, dollars and kilowatt-hours a month.

Rates and latencies are stated with the same requests in flight, dollars and kilowatt-hours a month
at today's arrivals: where a queue lasts, more tokens/s are delivered; where none does, what is
gained is watts, GPUs released, or capacity freed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from advisor.advise.candidates import Candidate
from advisor.advise.intervals import exactly, moved, over, quotient
from advisor.advise.recommendation import EffectRow
from advisor.advise.record import pooled_rate
from advisor.advise.rules import Rule
from advisor.performance.configuration import Observed
from advisor.performance.effect import Evidence, Interval, Performance
from advisor.performance.fit import Fit
from advisor.score.attainable import at_demand
from advisor.score.situation import SATURATED_RATIO, Situation

HOURS_PER_MONTH = 730.0
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Priced:
    """A candidate with its worth. `gain_low` is the lower bound of the relative gain."""

    candidate: Candidate
    effects: tuple[EffectRow, ...]
    cost_usd_per_month: Interval | None
    energy_kwh_per_month: Interval | None
    cash: bool
    gain_low: float
    assumptions: Mapping[str, str]


@dataclass(frozen=True)
class _Worth:
    """Ratios after over before. `share` is the part of cost and energy that they move.

    `cost` is of dollars a token, `energy` of joules a token, `idle` of what idle time draws.
    """

    tokens: Interval
    cost: Interval
    energy: Interval
    idle: float
    share: float
    energy_share: float


@dataclass(frozen=True)
class _Month:
    """What of a month's cost moves, the ratio of its energy, and the demand both assume."""

    demand: str
    share: float
    energy: Interval


def price(
    rule: Rule, situation: Situation, found: Candidate, facts: Mapping[str, float], fit: Fit
) -> Priced | None:
    """The worth of a candidate; None where what it needs was not measured."""
    if rule.propose.release:
        return _released(situation, found)
    if found.same_load is None:
        return _fewer(situation, found)
    return _faster(rule, situation, found, facts, fit)


def _month_usd(situation: Situation) -> float | None:
    """Cost of the instance's GPUs a month at today's price."""
    if situation.usd_per_gpu_hour is None:
        return None
    gpus = len(situation.instance.gpu_ids)
    return situation.usd_per_gpu_hour * gpus * HOURS_PER_MONTH


def _month_kwh(situation: Situation) -> float | None:
    """Energy of the instance's GPUs a month at the mean draw of the range."""
    power = situation.measured.power_w
    if power is None:
        return None
    return power * len(situation.instance.gpu_ids) * HOURS_PER_MONTH * 3600.0 / JOULES_PER_KWH


def _busy_energy_share(situation: Situation) -> float:
    """Part of the energy drawn while requests ran."""
    measured = situation.measured
    busy = measured.busy_ratio or 0.0
    if not measured.busy_power_w or not measured.power_w:
        return busy
    return min(busy * measured.busy_power_w / measured.power_w, 1.0)


def _faster(
    rule: Rule, situation: Situation, found: Candidate, facts: Mapping[str, float], fit: Fit
) -> Priced | None:
    """A change that delivers more tokens/s with the same requests in flight."""
    observed, performance = situation.observed, found.same_load
    if observed is None or performance is None:
        return None
    model = over(performance.output_tokens_per_s, observed.output_tokens_per_s)
    rate, sources = pooled_rate(rule, model, facts)
    slower = model.expected / rate.expected
    energy = _joules(performance.power_w, observed, rate)
    share = situation.measured.busy_ratio or 0.0
    month = _Month("requests that wait today run; arrivals stay as they are", share, energy)
    saturated = situation.measured.saturated_ratio or 0.0
    if saturated < SATURATED_RATIO:
        matched = _matched(situation, found, observed.output_tokens_per_s * slower, fit)
        month = _at_arrivals(month, matched, observed, facts)
    elif rule.lever == "batch":
        share = saturated
        month = replace(month, share=saturated)
    worth = _Worth(
        tokens=rate,
        cost=moved(rate, lambda r: 1 / r),
        energy=energy,
        idle=1.0,
        share=share,
        energy_share=_busy_energy_share(situation),
    )
    latency = moved(performance.tpot_s, lambda seconds: seconds * slower)
    rows = _rows(
        situation, worth, latency=latency, ttft=performance.ttft_s, power=performance.power_w
    )
    return Priced(
        candidate=found,
        effects=rows,
        cost_usd_per_month=_month(_month_usd(situation), month.share, worth.cost),
        energy_kwh_per_month=_month(_month_kwh(situation), worth.energy_share, month.energy),
        cash=False,
        gain_low=1 - 1 / rate.low,
        assumptions={"demand": month.demand, **sources},
    )


def _at_arrivals(
    month: _Month, matched: Performance | None, observed: Observed, facts: Mapping[str, float]
) -> _Month:
    """The month of a load without a queue: the part of the capacity that is used gets cheaper."""
    same = exactly(1.0, Evidence.MEASURED)
    return _Month(
        "rates with the same requests in flight; a month at today's arrivals, "
        "where the capacity that they free is the gain",
        month.share * min(facts.get("load_factor", 1.0), 1.0),
        _joules(matched.power_w, observed, same) if matched else month.energy,
    )


def _joules(power: Interval, observed: Observed, tokens: Interval) -> Interval:
    """The ratio of joules a token: of watts over that of tokens/s."""
    if not observed.power_w:
        return exactly(1.0, Evidence.ASSUMED)
    return quotient(over(power, observed.power_w), tokens)


def _matched(
    situation: Situation, found: Candidate, tokens_per_s: float, fit: Fit
) -> Performance | None:
    """The candidate where the model delivers these tokens/s."""
    if found.configuration is None:
        return None
    return at_demand(situation, found.configuration, tokens_per_s, fit)


def _fewer(situation: Situation, found: Candidate) -> Priced | None:
    """The same tokens/s on fewer GPUs: GPUs are released, so the saving reaches the bill."""
    observed, performance = situation.observed, found.same_demand
    now, then = situation.configuration, found.configuration
    if observed is None or performance is None or now is None or then is None:
        return None
    part = then.gpus / now.gpus
    power = over(performance.power_w, observed.power_w) if observed.power_w else None
    energy = moved(power, lambda p: p * part) if power else exactly(part, Evidence.ASSUMED)
    worth = _Worth(
        tokens=exactly(1.0, Evidence.MEASURED),
        cost=exactly(part, performance.tpot_s.evidence),
        energy=energy,
        idle=part,
        share=1.0,
        energy_share=_busy_energy_share(situation),
    )
    kwh = _month_kwh(situation)
    idle_kwh = None if kwh is None else kwh * (1 - worth.energy_share) * (part - 1)
    busy_kwh = _month(kwh, worth.energy_share, energy)
    rows = _rows(
        situation,
        worth,
        latency=performance.tpot_s,
        ttft=performance.ttft_s,
        power=performance.power_w,
    )
    return Priced(
        candidate=found,
        effects=rows,
        cost_usd_per_month=_month(_month_usd(situation), 1.0, worth.cost),
        energy_kwh_per_month=_shifted(busy_kwh, idle_kwh),
        cash=True,
        gain_low=1 - part,
        assumptions={
            "demand": "arrivals and tokens/s stay as they are",
            "released": "GPUs that become free are given back or take other work",
        },
    )


def _shifted(interval: Interval | None, by: float | None) -> Interval | None:
    return None if interval is None or by is None else moved(interval, lambda value: value + by)


def _released(situation: Situation, found: Candidate) -> Priced | None:
    """An idle instance stopped: at least its idle hours are saved, at most all of them."""
    measured = situation.measured
    busy, usd, kwh = measured.busy_ratio, _month_usd(situation), _month_kwh(situation)
    if busy is None or usd is None:
        return None
    idle_energy = 1 - _busy_energy_share(situation)
    cost = Interval(-usd, -usd * (1 - busy), -usd * (1 - busy), Evidence.MEASURED)
    energy = None
    if kwh is not None:
        energy = Interval(-kwh, -kwh * idle_energy, -kwh * idle_energy, Evidence.MEASURED)
    idle_w = measured.idle_power_w or measured.power_w
    rows: tuple[EffectRow, ...] = ()
    if idle_w is not None:
        rows = (EffectRow("power_w", "W", idle_w, exactly(0.0, Evidence.MEASURED)),)
    return Priced(
        candidate=found,
        effects=rows,
        cost_usd_per_month=cost,
        energy_kwh_per_month=energy,
        cash=True,
        gain_low=1 - busy,
        assumptions={
            "demand": "the few requests are served elsewhere or in a window of their own",
            "released": "idle GPU-hours are given back or take other work",
        },
    )


def _month(whole: float | None, share: float, ratio: Interval) -> Interval | None:
    """The change of a monthly amount whose `share` moves by `ratio`; negative is a saving."""
    if whole is None:
        return None
    return moved(ratio, lambda r: whole * share * (r - 1))


def _rows(
    situation: Situation,
    worth: _Worth,
    *,
    latency: Interval,
    ttft: Interval | None,
    power: Interval,
) -> tuple[EffectRow, ...]:
    """The effect table; rates in joules and dollars are over all time allocated."""
    measured, observed = situation.measured, situation.observed
    if observed is None:
        return ()
    rate = observed.output_tokens_per_s
    tokens = moved(worth.tokens, lambda r: rate * r)
    rows = [
        EffectRow("output_tokens_per_s", "{token}/s", rate, tokens),
        EffectRow("tpot_s", "s", observed.tpot_s, latency),
        EffectRow("power_w", "W", observed.power_w, power),
    ]
    if ttft is not None and observed.ttft_s is not None:
        rows.insert(1, EffectRow("ttft_s", "s", observed.ttft_s, ttft))
    joules, usd = measured.joules_per_output_token_gpu, measured.usd_per_million_output_tokens
    if joules is not None and observed.power_w is not None:
        idle = (1 - worth.energy_share) * worth.idle
        after = moved(worth.energy, lambda r: joules * (idle + worth.energy_share * r))
        rows.append(EffectRow("joules_per_output_token_gpu", "J/{token}", joules, after))
    if usd is not None:
        after = moved(worth.cost, lambda r: usd * (1 - worth.share + worth.share * r))
        rows.append(EffectRow("usd_per_million_output_tokens", "USD/1M{token}", usd, after))
    return tuple(rows)
