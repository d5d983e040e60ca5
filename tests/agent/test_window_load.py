"""Counters by load: time, output tokens and joules at each number of running requests."""

from __future__ import annotations

import pytest

from agent.vocabulary import Reading, attributes
from agent.window import INFO, OUTPUT_TOKENS, Observation, Subject, Window, WindowBuilder


def engine(at_s: float, running: float, tokens: float, gpus: str = "GPU-a,GPU-b") -> Observation:
    readings = (
        Reading("joulewise.engine.requests.running", (), running),
        Reading(*OUTPUT_TOKENS, tokens),
        Reading(INFO, attributes({"joulewise.gpu.ids": gpus}), 1.0),
    )
    return Observation(Subject("instance", "i"), "vllm", at_s, readings)


def gpu(at_s: float, uuid: str, joules: float, source: str = "nvml") -> Observation:
    return Observation(Subject("gpu", uuid), source, at_s, (Reading("hw.energy", (), joules),), 0.0)


def load(windows: tuple[Window, ...]) -> dict[tuple[str, int], float]:
    """(what, bin) -> value, without the bins that are zero."""
    found = {}
    for point in (point for window in windows for point in window.points):
        if point.signal.startswith("joulewise.load.") and isinstance(point.value, float):
            lower = int(dict(point.attributes)["joulewise.running_bin"])
            found[point.signal.rpartition(".")[2], lower] = point.value
    return {key: value for key, value in found.items() if value}


def close(builder: WindowBuilder, end_s: float, *observations: Observation) -> tuple[Window, ...]:
    for observation in observations:
        builder.add(observation)
    return builder.close(end_s)


def test_a_piece_belongs_to_the_bin_of_the_mean_running_requests() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        10.0,
        *(gpu(t, uuid, 100.0 * t) for t in (0.0, 5.0, 10.0) for uuid in ("GPU-a", "GPU-b")),
        engine(0.0, 6.0, 1000.0),
        engine(5.0, 12.0, 1500.0),
        engine(10.0, 20.0, 3000.0),
    )
    assert load(windows) == {
        ("time", 8): 5.0,
        ("output_tokens", 8): 500.0,
        ("energy", 8): 1000.0,
        ("time", 16): 5.0,
        ("output_tokens", 16): 1500.0,
        ("energy", 16): 1000.0,
    }


def test_joules_are_read_off_between_samples_of_the_gpu() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        8.0,
        engine(1.0, 1.0, 0.0, "GPU-a"),
        gpu(0.0, "GPU-a", 0.0),
        gpu(2.0, "GPU-a", 400.0),
        engine(6.0, 1.0, 50.0, "GPU-a"),
        gpu(4.0, "GPU-a", 1000.0),
        gpu(8.0, "GPU-a", 1400.0),
    )
    assert load(windows)["energy", 1] == pytest.approx(1200.0 - 200.0)


def test_a_gpu_that_joins_brings_none_of_the_joules_it_used_before() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        15.0,
        *(gpu(t, "GPU-a", 100.0 * t) for t in (0.0, 5.0, 10.0, 15.0)),
        *(gpu(t, "GPU-b", 9e9 + 100.0 * t) for t in (0.0, 5.0, 10.0, 15.0)),
        engine(0.0, 1.0, 0.0, "GPU-a"),
        engine(5.0, 1.0, 50.0, "GPU-a"),
        engine(10.0, 1.0, 100.0),
        engine(15.0, 1.0, 150.0),
    )
    assert load(windows)["energy", 1] == pytest.approx(500.0 + 1000.0)


def test_a_counter_that_comes_later_is_no_continuation_of_the_power_before_it() -> None:
    def power(at_s: float) -> Observation:
        readings = (Reading("hw.power", (), 100.0),)
        return Observation(Subject("gpu", "GPU-a"), "nvml", at_s, readings)

    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        25.0,
        *(power(t) for t in (0.0, 5.0)),
        *(gpu(t, "GPU-a", 9e9 + 100.0 * t) for t in (10.0, 15.0, 20.0, 25.0)),
        *(engine(t, 1.0, 10.0 * t, "GPU-a") for t in (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)),
    )
    assert load(windows).get(("energy", 1), 0.0) < 3000.0


def test_a_piece_waits_for_the_joules_over_the_end_of_a_window() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    gpus = [gpu(t, "GPU-a", 100.0 * t) for t in (0.0, 5.0)]
    first = close(
        builder, 10.0, *gpus, engine(0.0, 1.0, 0.0, "GPU-a"), engine(9.0, 1.0, 90.0, "GPU-a")
    )
    assert load(first) == {}
    second = close(builder, 20.0, gpu(11.0, "GPU-a", 1100.0))
    assert load(second) == {}, "the engine was not seen in this window"
    third = close(builder, 30.0, engine(19.0, 1.0, 190.0, "GPU-a"), gpu(19.0, "GPU-a", 1900.0))
    assert load(third) == {("time", 1): 19.0, ("output_tokens", 1): 190.0, ("energy", 1): 1900.0}


def test_without_known_gpus_time_and_tokens_count_and_energy_is_absent() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        10.0,
        engine(0.0, 3.0, 0.0, ""),
        engine(10.0, 3.0, 70.0, ""),
    )
    assert load(windows) == {("time", 2): 10.0, ("output_tokens", 2): 70.0}
    signals = {point.signal for window in windows for point in window.points}
    assert "joulewise.load.energy" not in signals


def test_a_piece_without_joules_is_left_out_once_they_were_known() -> None:
    builder = WindowBuilder(0.0, max_gap_s=15.0)
    gpus = [gpu(t, "GPU-a", 100.0 * t) for t in (0.0, 10.0)]
    close(builder, 10.0, *gpus, *(engine(t, 1.0, t, "GPU-a") for t in (0.0, 10.0)))
    windows = close(builder, 60.0, *(engine(t, 1.0, t, "GPU-a") for t in (20.0, 30.0, 40.0, 50.0)))
    assert load(windows) == {("time", 1): 10.0, ("output_tokens", 1): 10.0, ("energy", 1): 1000.0}


def test_a_gap_and_a_restart_of_the_engine_make_no_piece() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        100.0,
        engine(0.0, 1.0, 100.0, ""),
        engine(50.0, 1.0, 900.0, ""),
        engine(60.0, 1.0, 5.0, ""),
    )
    assert load(windows) == {}


def test_one_source_of_energy_counts_at_a_time() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        10.0,
        *(gpu(t, "GPU-a", 100.0 * t) for t in (0.0, 10.0)),
        *(gpu(t, "GPU-a", 1e6 + 100.0 * t, "dcgm") for t in (0.0, 10.0)),
        engine(0.0, 1.0, 0.0, "GPU-a"),
        engine(10.0, 1.0, 10.0, "GPU-a"),
    )
    assert load(windows)["energy", 1] == 1000.0


def test_bins_above_the_highest_load_are_there_as_zeros() -> None:
    windows = close(
        WindowBuilder(0.0, max_gap_s=15.0),
        10.0,
        engine(0.0, 4.0, 0.0, ""),
        engine(10.0, 4.0, 9.0, ""),
    )
    bins = [
        dict(point.attributes)["joulewise.running_bin"]
        for point in windows[0].points
        if point.signal == "joulewise.load.time"
    ]
    assert bins == ["0", "1", "2", "4", "8", "16"]
