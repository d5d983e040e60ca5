"""Architecture and software: do hardware, precision and parallelism fit each other?"""

from __future__ import annotations

from advisor.catalog.precisions import BYTES
from advisor.score.attainable import leaner_weights
from advisor.score.indicators.view import Kind, View
from advisor.score.result import Indicator

_PRECISION = Kind(
    "architecture.precision",
    "Weight bytes of the leanest precision that fits, over today's",
    "1",
    "serve a checkpoint in the leaner precision, behind a quality gate",
    "weight precision, GPU and model catalog",
    worst=0.0,
    best=1.0,
)
_PARALLELISM = Kind(
    "architecture.parallelism",
    "Fewest GPUs that carry the load inside the limit, over today's",
    "1",
    "spread the model over fewer GPUs",
    "GPUs of the instance, load, performance model",
    worst=0.0,
    best=1.0,
)
_THROTTLE = Kind(
    "architecture.throttle",
    "Time clocks were held back",
    "1",
    "check cooling and the power limit",
    "throttle_power_s, throttle_thermal_s, power_observed_s",
    worst=0.3,
    best=0.0,
)
_HEALTH = Kind(
    "architecture.health",
    "XID events and uncorrected ECC errors",
    "{error}",
    "drain the node and test the GPU",
    "xid_errors, ecc_uncorrected",
    worst=3.0,
    best=0.0,
)


def _precision(view: View) -> Indicator:
    configuration = view.situation.configuration
    if configuration is None:
        return _PRECISION.of(None, "")
    words = (configuration.weights, *leaner_weights(configuration))
    leanest = min(words, key=lambda word: BYTES.get(word, 2.0))
    value = BYTES.get(leanest, 2.0) / BYTES.get(configuration.weights, 2.0)
    return _PRECISION.of(value, f"weights in {configuration.weights}, {leanest} is supported")


def _parallelism(view: View) -> Indicator:
    configuration, attainable = view.situation.configuration, view.attainable
    if configuration is None or attainable is None:
        return _PARALLELISM.of(None, "")
    value = attainable.fewest_gpus / configuration.gpus
    reason = f"{configuration.gpus} GPUs where {attainable.fewest_gpus} would carry the load"
    return _PARALLELISM.of(value, reason)


def _throttle(view: View) -> Indicator:
    health = view.situation.health
    if health.throttle_power is None or health.throttle_thermal is None:
        return _THROTTLE.of(None, "")
    value = health.throttle_power + health.throttle_thermal
    return _THROTTLE.of(
        value, f"{health.throttle_power:.1%} by power, {health.throttle_thermal:.1%} by heat"
    )


def _health(view: View) -> Indicator:
    health = view.situation.health
    if health.xid_errors is None or health.ecc_uncorrected is None:
        return _HEALTH.of(None, "")
    value = health.xid_errors + health.ecc_uncorrected
    return _HEALTH.of(
        value,
        f"{health.xid_errors:.0f} XID events, {health.ecc_uncorrected:.0f} uncorrected errors",
    )


KINDS = (_PRECISION, _PARALLELISM, _THROTTLE, _HEALTH)
INDICATORS = (_precision, _parallelism, _throttle, _health)
