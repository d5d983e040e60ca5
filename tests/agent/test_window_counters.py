"""Counters in windows: end values with the time they began, through resets and restarts."""

from __future__ import annotations

import math

import pytest

from agent.vocabulary import Histogram, Reading
from agent.window import Observation, Point, Subject, Window, WindowBuilder

GPU = Subject("gpu", "GPU-a")
ENERGY = "hw.energy"


def observed(at_s: float, joules: float, origin_s: float | None = None) -> Observation:
    return Observation(GPU, "nvml", at_s, (Reading(ENERGY, (), joules),), origin_s)


def point(windows: tuple[Window, ...], signal: str) -> Point:
    (found,) = [p for window in windows for p in window.points if p.signal == signal]
    return found


def close(builder: WindowBuilder, end_s: float, *observations: Observation) -> tuple[Window, ...]:
    for observation in observations:
        builder.add(observation)
    return builder.close(end_s)


def test_a_counter_is_its_last_value_since_the_origin_its_source_gives() -> None:
    builder = WindowBuilder(60.0, max_gap_s=10.0)
    windows = close(builder, 120.0, observed(61.0, 500.0, 5.0), observed(119.0, 700.0, 5.0))
    assert point(windows, ENERGY) == Point(ENERGY, (("hw.id", "GPU-a"),), 700.0, 5.0)


def test_an_unknown_origin_stays_unknown() -> None:
    builder = WindowBuilder(60.0, max_gap_s=10.0)
    windows = close(builder, 120.0, observed(61.0, 500.0), observed(62.0, 600.0))
    assert point(windows, ENERGY) == Point(ENERGY, (("hw.id", "GPU-a"),), 600.0, None)


def test_an_event_that_appears_later_began_when_it_did() -> None:
    def xid(at_s: float, count: float) -> Observation:
        xids = Reading("joulewise.gpu.xid", (("joulewise.xid", "79"),), count)
        return Observation(GPU, "nvml", at_s, (Reading(ENERGY, (), at_s), xids), 1.0)

    builder = WindowBuilder(60.0, max_gap_s=10.0)
    windows = close(builder, 120.0, observed(61.0, 61.0, 1.0), xid(90.0, 1.0), xid(91.0, 2.0))
    assert (
        point(windows, "joulewise.gpu.xid").value,
        point(windows, "joulewise.gpu.xid").origin_s,
    ) == (2.0, 90.0)
    first = close(WindowBuilder(60.0, max_gap_s=10.0), 120.0, xid(90.0, 1.0))
    assert point(first, "joulewise.gpu.xid").origin_s == 1.0


def test_a_counter_that_went_back_begins_anew() -> None:
    builder = WindowBuilder(60.0, max_gap_s=10.0)
    windows = close(builder, 120.0, observed(61.0, 500.0), observed(70.0, 3.0))
    assert (point(windows, ENERGY).value, point(windows, ENERGY).origin_s) == (3.0, 70.0)


def test_a_restart_is_known_by_its_origin_even_when_the_counter_is_higher() -> None:
    builder = WindowBuilder(60.0, max_gap_s=10.0)
    windows = close(builder, 120.0, observed(61.0, 5.0, 1.0), observed(90.0, 9.0, 80.0))
    assert point(windows, ENERGY).origin_s == 80.0


def test_an_origin_that_moves_with_the_clock_is_no_restart() -> None:
    builder = WindowBuilder(60.0, max_gap_s=10.0)
    windows = close(builder, 120.0, observed(61.0, 5.0, 1.0), observed(90.0, 9.0, 3.0))
    assert point(windows, ENERGY).origin_s == 1.0


def test_a_counter_not_seen_in_a_window_has_no_point_in_it() -> None:
    builder = WindowBuilder(60.0, max_gap_s=10.0)
    close(builder, 120.0, observed(61.0, 5.0))
    assert builder.close(180.0) == ()


def test_time_between_end_values_counts_as_observed_however_long() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    close(builder, 60.0, observed(0.0, 0.0))
    windows = close(builder, 7200.0, observed(7000.0, 7_000_000.0))
    assert point(windows, "joulewise.gpu.observed_time").value == 7000.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_reading(value: float) -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    windows = close(builder, 60.0, observed(1.0, 5.0), observed(2.0, value))
    assert point(windows, ENERGY).value == 5.0


def test_a_signal_outside_the_vocabulary_is_left_out() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    reading = Reading("somebody.else", (), 1.0)
    assert close(builder, 60.0, Observation(GPU, "nvml", 1.0, (reading,))) == ()


def test_a_histogram_stands_as_it_is_and_begins_anew_when_its_count_went_back() -> None:
    signal = "joulewise.engine.queue.duration"
    full = Histogram(((0.1, 4.0), (math.inf, 9.0)), 2.0, 9.0)
    fresh = Histogram(((0.1, 1.0), (math.inf, 1.0)), 0.05, 1.0)
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    engine = Subject("instance", "i")
    windows = close(
        builder,
        60.0,
        Observation(engine, "vllm", 1.0, (Reading(signal, (), full),)),
        Observation(engine, "vllm", 9.0, (Reading(signal, (), fresh),)),
    )
    assert (point(windows, signal).value, point(windows, signal).origin_s) == (fresh, 9.0)


def test_sources_and_subjects_stay_apart() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    other = Observation(GPU, "dcgm", 2.0, (Reading(ENERGY, (), 4.0),))
    second = Observation(Subject("gpu", "GPU-b"), "nvml", 2.0, (Reading(ENERGY, (), 3.0),))
    windows = close(builder, 60.0, observed(1.0, 5.0), other, second)
    assert [(w.subject.id, w.source) for w in windows] == [
        ("GPU-a", "nvml"),
        ("GPU-a", "dcgm"),
        ("GPU-b", "nvml"),
    ]


def test_points_of_an_instance_name_it_and_keep_their_own_attributes() -> None:
    builder = WindowBuilder(0.0, max_gap_s=10.0)
    reading = Reading("joulewise.engine.tokens", (("joulewise.token.type", "output"),), 7.0)
    windows = close(builder, 60.0, Observation(Subject("instance", "i"), "vllm", 1.0, (reading,)))
    assert point(windows, "joulewise.engine.tokens").attributes == (
        ("joulewise.instance.id", "i"),
        ("joulewise.token.type", "output"),
    )


def test_energy_is_integrated_from_power_only_without_a_counter() -> None:
    def power(at_s: float) -> Reading:
        return Reading("hw.power", (("hw.type", "gpu"),), 100.0 + at_s)

    builder = WindowBuilder(0.0, max_gap_s=10.0)
    windows = close(
        builder, 10.0, *(Observation(GPU, "nvml", t, (power(t),)) for t in (0.0, 4.0, 10.0))
    )
    derived = point(windows, ENERGY)
    assert dict(derived.attributes)["joulewise.derived"] == "true"
    assert derived.value == pytest.approx(1050.0)
    assert derived.origin_s == 0.0
    counted = Observation(GPU, "nvml", 11.0, (power(11.0), Reading(ENERGY, (), 42.0)))
    assert point(close(builder, 20.0, counted), ENERGY).value == 42.0


def test_a_snapshot_of_another_version_is_refused_with_the_next_step() -> None:
    with pytest.raises(ValueError, match="start with a new state"):
        WindowBuilder.restore({"version": 99}, max_gap_s=10.0)
