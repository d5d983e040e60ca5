"""Batching by events and by its stationary state: limits hold, and the two agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator import curves
from simulator.demand import ClosedDemand, Demand, Lengths, OpenDemand, Week
from simulator.engine import Engine
from simulator.instance import SERVED, Instance
from simulator.queueing import Backfill, solve
from simulator.tally import BUCKETS, Tally

FLAT = Week(swing=0.0, weekend=1.0)
HOUR_S = 3600.0


def _instance(
    curve_id: str, family: str, demand: Demand, *, limit: int, lengths: Lengths | None = None
) -> Instance:
    curve = curves.load()[curve_id]
    return Instance(
        id=f"node:{limit}",
        port=8000,
        gpu_indices=tuple(range(curve.n_gpus)),
        curve=curve,
        served=SERVED[family, curve.weights],
        lengths=lengths or Lengths(300.0, curve.output_tokens),
        demand=demand,
        max_sequences=limit,
        max_batched_tokens=8192,
        memory_utilization=0.9,
        engine_version="0.33.0",
    )


STABLE = _instance(
    "b200x1-gpt-oss-120b-mxfp4-vllm", "gpt-oss-120b", OpenDemand(5.0, FLAT), limit=512
)
SATURATED = _instance(
    "h100x4-llama-70b-bf16-vllm", "llama-70b", ClosedDemand(96, 5.0, FLAT), limit=32
)
BUSY = _instance("b200x8-deepseek-r1-fp8-trtllm", "deepseek-r1", OpenDemand(4.2, FLAT), limit=128)
LOADS = {"stable": STABLE, "saturated": SATURATED, "busy": BUSY}


def _by_events(instance: Instance, hours: int) -> tuple[Engine, float, float]:
    """Two hours run in; then `hours` more, with mean running and waiting over them."""
    engine = Engine(instance, 0.0, "seed")
    engine.advance(2 * HOUR_S)
    engine.tally = Tally.empty()
    running = waiting = 0.0
    samples = hours * 180
    for index in range(samples):
        engine.advance(2 * HOUR_S + 20.0 * (index + 1))
        levels = engine.levels()
        running += levels.running / samples
        waiting += levels.waiting / samples
    return engine, running, waiting


@pytest.mark.parametrize("instance", LOADS.values(), ids=LOADS)
def test_a_window_in_one_step_agrees_with_the_event_driven_run(instance: Instance) -> None:
    engine, running, waiting = _by_events(instance, hours=2)
    state = solve(instance, instance.demand.at(0.0))
    seconds = 2 * HOUR_S
    scalars = engine.tally.scalars
    assert state.tokens_per_s == pytest.approx(scalars["output_tokens"] / seconds, rel=0.03)
    assert state.running_mean == pytest.approx(running, rel=0.10)
    assert state.waiting_mean == pytest.approx(waiting, rel=0.10, abs=0.5)
    assert state.power_w == pytest.approx(scalars["energy_j"] / seconds, rel=0.05)


@pytest.mark.parametrize("name", ["first_token", "per_token", "end_to_end", "output_tokens"])
@pytest.mark.parametrize("instance", LOADS.values(), ids=LOADS)
def test_both_see_the_same_mean_latencies(instance: Instance, name: str) -> None:
    engine, _, _ = _by_events(instance, hours=1)
    backfill = Backfill(instance, 0.0, "seed")
    backfill.advance(HOUR_S)
    events, step = engine.tally, backfill.tally
    by_events = events.sums[name] / events.cumulative(name)[-1]
    assert step.sums[name] / step.cumulative(name)[-1] == pytest.approx(by_events, rel=0.10)


def test_a_small_batch_limit_is_full_and_has_a_queue() -> None:
    engine = Engine(SATURATED, 0.0, "seed")
    backfill = Backfill(SATURATED, 0.0, "seed")
    for simulated in (engine, backfill):
        simulated.advance(HOUR_S)
        assert simulated.levels().running == SATURATED.max_sequences
        assert simulated.levels().waiting > 0


def test_bounded_users_bound_the_queue() -> None:
    engine = Engine(SATURATED, 0.0, "seed")
    for minute in range(1, 120):
        engine.advance(60.0 * minute)
        levels = engine.levels()
        assert levels.running + levels.waiting <= 96


def test_more_cannot_run_than_the_kv_cache_holds() -> None:
    lengths = Lengths(8000.0, 412.0)
    instance = _instance(
        "h100x4-llama-70b-bf16-vllm",
        "llama-70b",
        ClosedDemand(200, 1.0, FLAT),
        limit=256,
        lengths=lengths,
    )
    engine = Engine(instance, 0.0, "seed")
    engine.advance(HOUR_S)
    assert engine.levels().kv_used <= 1.0
    assert engine.levels().running < 100


def test_a_full_kv_cache_preempts_the_newest() -> None:
    lengths = Lengths(100.0, 2000.0)
    tight = replace(SATURATED, max_sequences=256, lengths=lengths, memory_utilization=0.55)
    engine = Engine(tight, 0.0, "seed")
    engine.advance(HOUR_S)
    assert engine.tally.scalars["preemptions"] > 0
    assert engine.tally.scalars["finished_stop"] > 0


def test_counters_never_go_back() -> None:
    backfill = Backfill(STABLE, 0.0, "seed")
    before = [0.0] * 100
    for step in range(1, 50):
        backfill.advance(900.0 * step)
        now = [*backfill.tally.scalars.values(), *backfill.tally.cumulative("end_to_end")]
        assert all(a <= b for a, b in zip(before, now, strict=False))
        before = now


def test_the_same_seed_gives_the_same_week() -> None:
    first, second = (Backfill(BUSY, 0.0, "seed") for _ in range(2))
    for backfill in (first, second):
        for step in range(1, 20):
            backfill.advance(900.0 * step)
    assert first.tally.scalars == second.tally.scalars
    assert first.tally.sums == second.tally.sums
    assert first.tally.counts.tolist() == second.tally.counts.tolist()
    assert first.levels() == second.levels()


def test_another_seed_gives_another_week() -> None:
    first, second = Backfill(BUSY, 0.0, "one"), Backfill(BUSY, 0.0, "two")
    first.advance(900.0)
    second.advance(900.0)
    assert first.tally.scalars["output_tokens"] != second.tally.scalars["output_tokens"]


def test_every_finished_request_is_in_each_of_its_histograms() -> None:
    engine = Engine(STABLE, 0.0, "seed")
    engine.advance(HOUR_S)
    finished = engine.tally.scalars["finished_stop"] + engine.tally.scalars["finished_length"]
    for name in set(BUCKETS) - {"inter_token", "step_tokens"}:
        assert engine.tally.cumulative(name)[-1] == finished


def test_nobody_asking_costs_idle_watts_only() -> None:
    idle = replace(STABLE, demand=OpenDemand(0.0, FLAT))
    backfill = Backfill(idle, 0.0, "seed")
    backfill.advance(HOUR_S)
    assert backfill.tally.scalars["energy_j"] == curves.IDLE_POWER_W["B200"] * HOUR_S
    assert backfill.tally.scalars["output_tokens"] == 0.0
