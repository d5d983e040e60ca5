"""Return on investment: what a token costs against what it could, and what is left of its price."""

from __future__ import annotations

from advisor.score.indicators.view import Kind, View
from advisor.score.measure import ratio
from advisor.score.result import Indicator

IDLE_COST = Kind(
    "roi.idle_cost",
    "Share of the cost paid while no request ran",
    "1",
    "consolidate: let fewer GPUs carry the load",
    "load_time_s, observed_s, prices",
    worst=1.0,
    best=0.1,
)
_ENERGY = Kind(
    "roi.energy_per_token",
    "Attainable J/token over today's, all time allocated",
    "1",
    "batch more, serve a leaner precision, idle less",
    "gpu_energy_j, output_tokens, performance model",
    worst=0.1,
    best=0.9,
)
_COST = Kind(
    "roi.cost_per_token",
    "Attainable $/1M tokens over today's, all time allocated",
    "1",
    "batch more, serve a leaner precision, idle less",
    "output_tokens, observed_s, prices, performance model",
    worst=0.1,
    best=0.9,
)
_MARGIN = Kind(
    "roi.margin",
    "Margin on the token price the deployment declares",
    "1",
    "lower the cost a token, or the share of time idle",
    "prices, output_tokens, the deployment's token price",
    worst=0.0,
    best=0.5,
)


def _idle_cost(view: View) -> Indicator:
    cost = view.situation.cost
    value = ratio(cost.idle_cost_usd, cost.cost_usd) if cost else None
    return IDLE_COST.of(value, f"{value or 0:.0%} of the cost was idle")


def _energy(view: View) -> Indicator:
    today = view.situation.measured.joules_per_output_token_gpu
    best = view.attainable.joules_per_output_token_gpu if view.attainable else None
    known = _demand_is_known(view)
    reason = f"{today or 0:.3g} J/token, attainable {best or 0:.3g}"
    return _ENERGY.of(ratio(best, today) if known else None, reason)


def _cost(view: View) -> Indicator:
    today = view.situation.measured.usd_per_million_output_tokens
    best = view.attainable.usd_per_million_output_tokens if view.attainable else None
    known = _demand_is_known(view)
    reason = f"{today or 0:.3g} $/1M tokens, attainable {best or 0:.3g}"
    return _COST.of(ratio(best, today) if known else None, reason)


def _demand_is_known(view: View) -> bool:
    """The attainable counts the queue: without its figures it would look too near."""
    measured = view.situation.measured
    return measured.waiting_mean is not None and measured.saturated_ratio is not None


def _margin(view: View) -> Indicator | None:
    deployment = view.situation.deployment
    sold = deployment.usd_per_million_output_tokens_sold if deployment else None
    if sold is None:
        return None
    today = view.situation.measured.usd_per_million_output_tokens
    value = None if today is None else 1.0 - today / sold
    return _MARGIN.of(value, f"{today or 0:.3g} $/1M tokens of {sold:.3g} sold")


KINDS = (IDLE_COST, _ENERGY, _COST, _MARGIN)
INDICATORS = (_idle_cost, _energy, _cost, _margin)
