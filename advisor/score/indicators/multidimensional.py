"""Multidimensional performance: throughput, latency and its tail at once."""

from __future__ import annotations

from advisor.score.indicators.view import Kind, View
from advisor.score.measure import ratio
from advisor.score.result import Indicator

_THROUGHPUT = Kind(
    "multidimensional.throughput",
    "Tokens/s over the attainable for the demand that was there",
    "1",
    "raise the batch limit: the queue would run, inside the latency limit",
    "load_output_tokens, waiting_time_s, saturated times, performance model",
    worst=0.2,
    best=1.0,
)
_SLO = Kind(
    "multidimensional.slo",
    "Requests inside both latency limits",
    "1",
    "shorten the queue, lower the batch, or add capacity",
    "ttft_s and tpot_s histograms, the limits of the deployment",
    worst=0.75,
    best=0.95,
)
_TAIL = Kind(
    "multidimensional.tail",
    "Time per token, 99th percentile over median",
    "1",
    "limit the tokens of a step, so that long prompts delay running requests less",
    "tpot_s histogram",
    worst=5.0,
    best=1.5,
)


def _throughput(view: View) -> Indicator:
    measured = view.situation.measured
    best = view.attainable.tokens_per_s if view.attainable else None
    known = measured.waiting_mean is not None and measured.saturated_ratio is not None
    value = ratio(measured.busy_output_tokens_per_s, best) if known else None
    reason = f"{measured.busy_output_tokens_per_s or 0:.0f} of {best or 0:.0f} tokens/s"
    return _THROUGHPUT.of(value, reason)


def _slo(view: View) -> Indicator:
    situation = view.situation
    limits = situation.objective
    return _SLO.of(
        situation.measured.slo_ratio,
        f"{situation.measured.slo_ratio or 0:.0%} inside {limits.ttft_p95_s:g} s to the first "
        f"token and {limits.tpot_p95_s:g} s a token ({limits.source})",
    )


def _tail(view: View) -> Indicator:
    value = ratio(view.situation.workload.tpot_p99_s, view.situation.measured.tpot_p50_s)
    return _TAIL.of(value, f"the slowest 1 % of requests take {value or 0:.1f} times the median")


KINDS = (_THROUGHPUT, _SLO, _TAIL)
INDICATORS = (_throughput, _slo, _tail)
