"""Levels in windows: integrals with the time observed, means, maxima, and what held requests back."""

from __future__ import annotations

import pytest

from agent.vocabulary import Reading, attributes
from agent.window import INFO, Observation, Subject, Window, WindowBuilder

ENGINE = Subject("instance", "i")
GPU = Subject("gpu", "GPU-a")
RUNNING = "joulewise.engine.requests.running"
WAITING = "joulewise.engine.requests.waiting"
KV_USED = "joulewise.engine.kv_cache.used"


def engine(
    at_s: float, running: float, waiting: float = 0.0, kv: float = 0.0, **info: str
) -> Observation:
    readings = [
        Reading(RUNNING, (), running),
        Reading(WAITING, (), waiting),
        Reading(KV_USED, (), kv),
    ]
    if info:
        named = {f"joulewise.{name}": value for name, value in info.items()}
        readings.append(Reading(INFO, attributes(named), 1.0))
    return Observation(ENGINE, "vllm", at_s, tuple(readings))


def gpu(at_s: float, signal: str, value: float) -> Observation:
    return Observation(GPU, "nvml", at_s, (Reading(signal, (), value),))


def value(windows: tuple[Window, ...], signal: str, **named: str) -> float:
    wanted = {f"joulewise.{name}": word for name, word in named.items()}.items()
    (found,) = [
        point.value
        for window in windows
        for point in window.points
        if point.signal == signal and wanted <= dict(point.attributes).items()
    ]
    assert isinstance(found, float)
    return found


def close(builder: WindowBuilder, end_s: float, *observations: Observation) -> tuple[Window, ...]:
    for observation in observations:
        builder.add(observation)
    return builder.close(end_s)


def test_running_requests_become_request_seconds_over_the_time_observed() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    windows = close(builder, 20.0, engine(0.0, 10.0), engine(10.0, 20.0), engine(20.0, 20.0))
    assert value(windows, "joulewise.engine.requests.running_time") == 350.0
    assert value(windows, "joulewise.engine.observed_time") == 20.0
    assert value(windows, "joulewise.engine.requests.running.max") == 20.0


def test_the_level_itself_is_not_shipped() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    (window,) = close(builder, 20.0, engine(0.0, 10.0))
    assert RUNNING not in {point.signal for point in window.points}


def test_a_gap_is_not_bridged() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    windows = close(builder, 60.0, engine(0.0, 10.0), engine(10.0, 10.0), engine(60.0, 10.0))
    assert value(windows, "joulewise.engine.observed_time") == 10.0
    assert value(windows, "joulewise.engine.requests.running_time") == 100.0


def test_the_last_level_is_held_to_the_end_and_the_next_window_goes_on_from_there() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    first = close(builder, 60.0, engine(50.0, 4.0), engine(55.0, 4.0))
    assert value(first, "joulewise.engine.observed_time") == 10.0
    second = close(builder, 80.0, engine(65.0, 4.0))
    assert value(second, "joulewise.engine.observed_time") == 30.0
    assert value(second, "joulewise.engine.requests.running_time") == 120.0


def test_integrals_begin_with_the_first_observation_and_go_on_after_a_restart() -> None:
    builder = WindowBuilder(30.0, max_gap_s=15.0)
    close(builder, 60.0, engine(50.0, 4.0))
    restored = WindowBuilder.restore(builder.snapshot(), max_gap_s=15.0)
    (window,) = close(restored, 120.0, engine(110.0, 4.0))
    origins = {p.origin_s for p in window.points if p.signal.endswith("_time")}
    assert origins == {50.0}


def test_a_gauge_is_its_mean_weighted_with_time() -> None:
    builder = WindowBuilder(0.0, max_gap_s=60.0)
    windows = close(
        builder,
        40.0,
        gpu(0.0, "hw.temperature", 40.0),
        gpu(30.0, "hw.temperature", 40.0),
        gpu(40.0, "hw.temperature", 80.0),
    )
    assert value(windows, "hw.temperature") == 45.0


def test_a_gauge_seen_once_is_what_it_was() -> None:
    builder = WindowBuilder(0.0, max_gap_s=1.0)
    windows = close(builder, 40.0, gpu(5.0, "hw.temperature", 41.0))
    assert value(windows, "hw.temperature") == 41.0


def test_a_mean_knows_nothing_of_the_window_before() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    close(builder, 10.0, gpu(0.0, "hw.temperature", 90.0), gpu(10.0, "hw.temperature", 90.0))
    windows = close(
        builder, 30.0, gpu(20.0, "hw.temperature", 30.0), gpu(30.0, "hw.temperature", 30.0)
    )
    assert value(windows, "hw.temperature") == 45.0


def test_the_highest_power_is_kept_beside_its_mean() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    windows = close(builder, 20.0, gpu(0.0, "hw.power", 100.0), gpu(10.0, "hw.power", 300.0))
    assert value(windows, "joulewise.gpu.power.max") == 300.0
    assert value(windows, "hw.power") == 250.0


def test_activity_becomes_active_seconds_with_their_own_time_observed() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    signal = "joulewise.gpu.tensor.active"
    windows = close(builder, 10.0, gpu(0.0, signal, 0.5), gpu(10.0, signal, 0.5))
    assert value(windows, "joulewise.gpu.tensor.active_time") == 5.0
    assert value(windows, "joulewise.gpu.observed_time", group="activity") == 10.0


def test_a_rate_becomes_the_counter_that_the_source_does_not_have() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    signal = "joulewise.gpu.nvlink.rate"
    windows = close(builder, 10.0, gpu(0.0, signal, 1e9), gpu(10.0, signal, 1e9))
    assert value(windows, "joulewise.gpu.nvlink.io") == 1e10


def test_a_clock_that_goes_back_counts_no_moment_twice() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    windows = close(
        builder, 30.0, engine(0.0, 1.0), engine(10.0, 1.0), engine(5.0, 1.0), engine(20.0, 1.0)
    )
    assert value(windows, "joulewise.engine.observed_time") == 30.0
    assert value(windows, "joulewise.engine.requests.running_time") == 30.0


def test_time_goes_on_after_the_clock_was_set_back_by_hours() -> None:
    builder = WindowBuilder(10_000.0, max_gap_s=15.0)
    close(builder, 10_060.0, engine(10_050.0, 1.0), engine(10_060.0, 1.0))
    builder.close(3_000.0)
    windows = close(builder, 3_020.0, engine(3_000.0, 1.0), engine(3_010.0, 1.0))
    assert value(windows, "joulewise.engine.observed_time") == 30.0


@pytest.mark.parametrize(
    ("running", "kv", "info", "limit"),
    [
        (64.0, 0.3, {"max_sequences": "64"}, "sequences"),
        (61.0, 0.3, {"max_sequences": "64"}, "sequences"),
        (121.0, 0.3, {"max_sequences": "64", "parallel.data": "2"}, "unknown"),
        (123.0, 0.3, {"max_sequences": "64", "parallel.data": "2"}, "sequences"),
        (40.0, 0.93, {"max_sequences": "64"}, "kv_cache"),
        (40.0, 0.5, {"max_sequences": "64"}, "unknown"),
        (64.0, 0.5, {}, "unknown"),
        (64.0, 0.5, {"max_sequences": "many"}, "unknown"),
    ],
)
def test_time_with_a_queue_belongs_to_the_limit_that_holds_it(
    running: float, kv: float, info: dict[str, str], limit: str
) -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    windows = close(
        builder, 10.0, engine(0.0, running, 5.0, kv, **info), engine(10.0, running, 5.0, kv)
    )
    for one in ("sequences", "kv_cache", "unknown"):
        expected = 10.0 if one == limit else 0.0
        assert value(windows, "joulewise.engine.saturated_time", limit=one) == expected


def test_without_a_queue_nothing_is_saturated() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    windows = close(builder, 10.0, engine(0.0, 64.0, 0.0, 0.99), engine(10.0, 64.0, 0.0, 0.99))
    assert value(windows, "joulewise.engine.saturated_time", limit="kv_cache") == 0.0
