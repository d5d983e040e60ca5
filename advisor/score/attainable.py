"""What an instance could deliver for the demand that was there, by the performance model.

Predictions are ratios on what was measured. Attainable tokens/s move only the batch; attainable
joules and dollars a token also take the best precision that GPU, model and engine share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from advisor.catalog.precisions import BYTES, supported_weights
from advisor.performance.configuration import Configuration
from advisor.performance.effect import Performance
from advisor.performance.fit import Fit
from advisor.performance.memory import fits
from advisor.performance.predict import change
from advisor.score.situation import Situation

WIDEST_BATCH = 4096
"""No batch beyond this is searched: tokens/s are flat long before."""
MEMORY_MARGIN = 0.9
"""Share of the sequences of mean length that the KV cache holds which a batch may plan with."""
SMALLER_MARGIN = 0.8
"""A smaller instance keeps this share of the limit, as Dynamo's planner before scaling down."""


@dataclass(frozen=True, slots=True)
class Attainable:
    """Best figures inside memory and limits: `capacity` for any demand, the rest for what came."""

    capacity_tokens_per_s: float
    tokens_per_s: float
    joules_per_output_token_gpu: float | None
    usd_per_million_output_tokens: float | None
    fewest_gpus: int
    bottleneck: str


def what_if(
    situation: Situation, proposed: Configuration, fit: Fit, *, in_flight: float | None = None
) -> Performance | None:
    """Another configuration under the same load, or with other requests in flight."""
    now, load, observed = situation.configuration, situation.load, situation.observed
    if now is None or load is None or observed is None:
        return None
    asked = load if in_flight is None else replace(load, concurrency=max(in_flight, 1.0))
    usd = situation.usd_per_gpu_hour
    return change(now, load, proposed, asked, observed, fit, usd_per_gpu_hour=usd)


def tpot_p95(situation: Situation, performance: Performance) -> float | None:
    """The p95 of TPOT to expect: the measured one moved as the model moves the median."""
    measured, observed = situation.measured.tpot_p95_s, situation.observed
    if measured is None or observed is None:
        return None
    return measured * performance.tpot_s.expected / observed.tpot_s


def keeps_objective(situation: Situation, performance: Performance, margin: float = 1.0) -> bool:
    """Whether the expected p95 of TPOT stays inside the limit, or at least gets no worse."""
    expected, now = tpot_p95(situation, performance), situation.measured.tpot_p95_s
    if expected is None or now is None:
        return False
    return expected <= max(situation.objective.tpot_p95_s * margin, now)


def roomiest(situation: Situation, configuration: Configuration) -> float:
    """Most requests in flight that memory allows, with a margin for those longer than the mean."""
    load = situation.load
    if load is None:
        return 0.0
    wide = replace(configuration, max_sequences=WIDEST_BATCH)
    return min(fits(wide, load).max_concurrency * MEMORY_MARGIN, float(WIDEST_BATCH))


def attainable(situation: Situation, fit: Fit) -> Attainable | None:
    """The best an instance could do; None where the model cannot reason about it."""
    configuration, load = situation.configuration, situation.load
    if configuration is None or load is None:
        return None
    now = what_if(situation, configuration, fit)
    if now is None:
        return None
    reachable = list(_reachable(situation, configuration, fit))
    served = [p for level, p in reachable if level <= load.concurrency]
    best = max(p.output_tokens_per_s.expected for p in (now, *served))
    capacity = max((p.output_tokens_per_s.expected for _, p in reachable), default=best)
    fewer = list(smaller(situation, fit))
    carried = [now, *served, *(performance for _, performance in fewer)]
    joules, usd = _best_unit(situation, configuration, carried, fit)
    return Attainable(
        capacity_tokens_per_s=max(capacity, best),
        tokens_per_s=best,
        joules_per_output_token_gpu=joules,
        usd_per_million_output_tokens=usd,
        fewest_gpus=min((c.gpus for c, _ in fewer), default=configuration.gpus),
        bottleneck=now.bottleneck,
    )


def _reachable(
    situation: Situation, configuration: Configuration, fit: Fit
) -> Iterator[tuple[float, Performance]]:
    """Powers of two of requests in flight, and those there were, inside memory and SLO."""
    load = situation.load
    if load is None:
        return
    room = roomiest(situation, configuration)
    levels = {float(1 << power) for power in range(WIDEST_BATCH.bit_length())}
    for level in sorted(levels | {load.concurrency}):
        wide = replace(configuration, max_sequences=WIDEST_BATCH)
        performance = what_if(situation, wide, fit, in_flight=level) if level <= room else None
        if performance is not None and keeps_objective(situation, performance):
            yield level, performance


def _best_unit(
    situation: Situation, configuration: Configuration, served: list[Performance], fit: Fit
) -> tuple[float | None, float | None]:
    """The lowest joules and dollars a token over batches and precisions, at today's demand."""
    found = list(served)
    for word in leaner_weights(configuration):
        leaner = replace(configuration, weights=word, max_sequences=WIDEST_BATCH)
        performance = what_if(situation, leaner, fit)
        if performance is not None and keeps_objective(situation, performance):
            found.append(performance)
    joules = [p.joules_per_output_token_gpu.expected for p in found]
    prices = [p.usd_per_million_output_tokens for p in found]
    usd = [price.expected for price in prices if price is not None]
    return min(joules, default=None), min(usd, default=None)


def leaner_weights(configuration: Configuration) -> tuple[str, ...]:
    """Floating weight precisions that GPU, model and engine share, leaner than today's."""
    words = supported_weights(configuration.gpu, configuration.architecture, configuration.engine)
    now = BYTES.get(configuration.weights, 2.0)
    return tuple(word for word in words if word in ("fp8", "nvfp4") and BYTES[word] < now * 0.95)


def smaller(situation: Situation, fit: Fit) -> Iterator[tuple[Configuration, Performance]]:
    """Configurations on fewer GPUs that carry the hours of most demand inside the latency limit.

    Each with its performance at the demand of its busy time: the same tokens/s as measured.
    """
    now, work = situation.configuration, situation.workload
    demand = situation.measured.busy_output_tokens_per_s
    if now is None or demand is None or work.tokens_per_s_p95 is None:
        return
    if (situation.measured.saturated_ratio or 0.0) >= 0.05:
        return
    tensor = now.tensor_parallel // 2
    while tensor >= 1:
        proposed = on_fewer(now, tensor)
        peak = at_demand(situation, proposed, max(work.tokens_per_s_p95, demand), fit)
        usual = at_demand(situation, proposed, demand, fit)
        if usual and peak and keeps_objective(situation, peak, SMALLER_MARGIN):
            yield proposed, usual
        tensor //= 2


def on_fewer(now: Configuration, tensor: int) -> Configuration:
    """The same instance with a narrower tensor-parallel group."""
    return replace(now, tensor_parallel=tensor, gpus=now.gpus * tensor // now.tensor_parallel)


def at_demand(
    situation: Situation, proposed: Configuration, tokens_per_s: float, fit: Fit
) -> Performance | None:
    """The performance at the requests in flight that deliver `tokens_per_s`; None if none do."""
    room = roomiest(situation, proposed)
    if proposed.max_sequences is not None:
        room = min(room, float(proposed.max_sequences * proposed.data_parallel))
    low, high = 1.0, room
    most = what_if(situation, proposed, fit, in_flight=room) if room >= 1 else None
    if most is None or not most.fits or most.output_tokens_per_s.expected < tokens_per_s:
        return None
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        tried = what_if(situation, proposed, fit, in_flight=middle)
        if tried is None:
            return None
        if tried.output_tokens_per_s.expected < tokens_per_s:
            low = middle
        else:
            high, most = middle, tried
    return most


_HALVINGS = 12
"""4096 to 1 in logarithms, halved twelve times: requests in flight to 0.2 %."""
