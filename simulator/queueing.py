"""The same batching as `engine`, a whole window in one step.

Arrivals at a rate that depends on how many are in the system, and service as fast as the curve
allows at that batch, make a birth-death chain. Its stationary distribution gives running and
waiting requests, tokens, latencies and energy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random
from statistics import NormalDist

import numpy as np

from simulator.curves import Floats
from simulator.demand import LENGTH_LIMITED, Arrivals
from simulator.instance import Instance, count_steps
from simulator.tally import BUCKETS, SLICES, Levels, Tally

_QUEUE_BATCHES = 4
"""An open queue longer than this many batches turns arrivals away, as clients that time out do."""
_BY_TIME = ("energy_j", "busy_s")
_STATES = np.linspace(1 / 32, 31 / 32, 16)
_LENGTHS = np.linspace(1 / 32, 31 / 32, 16)


@dataclass(frozen=True)
class Stationary:
    """What an instance settles to under constant arrivals; `probability[n]`: n in the system.

    `second` is what the engine counts in a mean second; energy in it is of one GPU.
    """

    probability: Floats
    running_mean: float
    waiting_mean: float
    requests_per_s: float
    tokens_per_s: float
    power_w: float
    second: Tally


def solve(instance: Instance, arrivals: Arrivals) -> Stationary:
    """The stationary state of `instance` under `arrivals`."""
    probability = _probability(instance, arrivals)
    limit, states = instance.batch_limit, np.arange(len(probability))
    running = np.minimum(states, limit)
    by_running = np.bincount(running, weights=probability, minlength=limit + 1)
    tokens_at = by_running * instance.tokens_per_s
    tokens_per_s = float(tokens_at.sum())
    power_w = float(by_running @ instance.power_w)
    second = _one_request(instance, probability, arrivals)
    _scale_to_second(second, instance, tokens_per_s)
    second.scalars["energy_j"] = power_w
    second.scalars["busy_s"] = float(1 - by_running[0])
    count_steps(second, instance, tokens_at)
    return Stationary(
        probability=probability,
        running_mean=float(probability @ running),
        waiting_mean=float(probability @ (states - running)),
        requests_per_s=tokens_per_s / instance.lengths.output_mean,
        tokens_per_s=tokens_per_s,
        power_w=power_w,
        second=second,
    )


class Backfill:
    """One instance from `start_s` on, a window a step; shows what `engine.Engine` shows."""

    def __init__(
        self, instance: Instance, start_s: float, seed: str, *, tally: Tally | None = None
    ) -> None:
        self.instance = instance
        self.now_s = start_s
        self.tally = tally or Tally.empty()
        self._seed = seed
        self._solved: dict[Arrivals, Stationary] = {}
        self._levels = Levels(0, 0, 0.0, float(instance.power_w[0]))

    def levels(self) -> Levels:
        """Levels drawn from the distribution at this moment."""
        return self._levels

    def advance(self, until_s: float) -> None:
        """Take the whole time to `until_s` as stationary at the arrivals of its middle."""
        seconds = until_s - self.now_s
        if seconds <= 0:
            return
        random = Random(f"{self._seed}:{self.instance.id}:{until_s:.0f}")
        state = self._solve(self.instance.demand.at((self.now_s + until_s) / 2))
        self._count(state, seconds, random)
        self._levels = self._draw(state, random)
        self.now_s = until_s

    def _solve(self, arrivals: Arrivals) -> Stationary:
        """The state under `arrivals`, to 1 % of an open rate; equal questions are answered once."""
        if arrivals.rate_per_s > 0:
            step = round(math.log(arrivals.rate_per_s) * 100)
            arrivals = replace(arrivals, rate_per_s=math.exp(step / 100))
        if arrivals not in self._solved:
            self._solved[arrivals] = solve(self.instance, arrivals)
        return self._solved[arrivals]

    def _count(self, state: Stationary, seconds: float, random: Random) -> None:
        """Add `seconds` of the mean second; requests and tokens vary as their number makes them."""
        expected = state.requests_per_s * seconds
        saturated = state.waiting_mean > state.running_mean
        spread = 0.0 if saturated else 1 / math.sqrt(max(expected, 4.0))
        varied = seconds * max(1 + random.gauss(0.0, 1.0) * spread, 0.0)
        for name, rate in state.second.scalars.items():
            self.tally.scalars[name] += rate * (seconds if name in _BY_TIME else varied)
        self.tally.counts += state.second.counts * varied
        for name, rate in state.second.sums.items():
            self.tally.sums[name] += rate * varied

    def _draw(self, state: Stationary, random: Random) -> Levels:
        cumulative = np.cumsum(state.probability)
        found = int(np.searchsorted(cumulative, random.random() * cumulative[-1]))
        in_system = min(found, len(state.probability) - 1)
        running = min(in_system, self.instance.batch_limit)
        held = running * self.instance.lengths.held_mean / self.instance.kv_capacity_tokens
        power_w = float(self.instance.power_w[running])
        return Levels(running, in_system - running, min(held, 1.0), power_w)


def _probability(instance: Instance, arrivals: Arrivals) -> Floats:
    limit = instance.batch_limit
    most = arrivals.users if arrivals.users is not None else limit * (1 + _QUEUE_BATCHES)
    births = np.array([arrivals.rate(n) for n in range(most)])
    if not births.any():
        return np.array([1.0])
    served = np.minimum(np.arange(1, most + 1), limit)
    deaths = instance.tokens_per_s[served] / instance.lengths.output_mean
    with np.errstate(divide="ignore"):
        weights = np.concatenate(([0.0], np.cumsum(np.log(births) - np.log(deaths))))
    probability = np.exp(weights - weights.max())
    return np.asarray(probability / probability.sum(), dtype=np.float64)


def _one_request(instance: Instance, probability: Floats, arrivals: Arrivals) -> Tally:
    """Mean histograms of one request: 16 states it may meet, by 16 lengths it may have."""
    tally = Tally.empty()
    seen = probability * np.array([arrivals.rate(n) for n in range(len(probability))])
    if not seen.any():
        return tally
    cumulative = np.cumsum(seen) / seen.sum()
    met = np.minimum(np.searchsorted(cumulative, _STATES), len(probability) - 1)
    limit = instance.batch_limit
    running = np.minimum(met + 1, limit)
    lengths = _quantiles(instance.lengths.output_mean, instance.lengths.output_sigma)
    full_rate = float(instance.tokens_per_s[limit]) / instance.lengths.output_mean
    queue = np.repeat(np.maximum(met + 1 - limit, 0) / full_rate, len(lengths))
    inference = np.outer(instance.token_time_s[running], lengths).ravel()
    prefill = np.minimum(np.repeat(instance.first_token_s[running], len(lengths)), inference / 2)
    decode = inference - prefill
    outputs = np.tile(lengths, len(met))
    samples = {
        "queue": queue,
        "first_token": queue + prefill,
        "inference": inference,
        "end_to_end": queue + inference,
        "prefill": prefill,
        "decode": decode,
        "per_token": decode / np.maximum(outputs - 1, 1),
        "output_tokens": outputs,
        "input_tokens": _quantiles(instance.lengths.input_mean, instance.lengths.input_sigma),
    }
    for name, values in samples.items():
        _share(tally, name, values)
    return tally


def _scale_to_second(tally: Tally, instance: Instance, tokens_per_s: float) -> None:
    """Turn one request's histograms into those of a second, and count its requests and tokens."""
    requests = tokens_per_s / instance.lengths.output_mean
    tally.counts *= requests
    for name in tally.sums:
        tally.sums[name] *= requests
    tally.scalars["arrived"] = requests
    tally.scalars["finished_stop"] = (1 - LENGTH_LIMITED) * requests
    tally.scalars["finished_length"] = LENGTH_LIMITED * requests
    tally.scalars["input_tokens"] = requests * instance.lengths.input_mean
    tally.scalars["output_tokens"] = tokens_per_s


def _share(tally: Tally, name: str, values: Floats) -> None:
    found = np.searchsorted(BUCKETS[name], values)
    tally.counts[SLICES[name]] = np.bincount(found, minlength=len(BUCKETS[name]) + 1) / len(values)
    tally.sums[name] = float(values.mean())


def _quantiles(mean: float, sigma: float) -> Floats:
    """Sixteen equally likely lognormal lengths with this mean."""
    normal = np.array([NormalDist().inv_cdf(float(q)) for q in _LENGTHS])
    lengths = np.exp(sigma * normal)
    return np.asarray(mean * lengths / lengths.mean(), dtype=np.float64)
