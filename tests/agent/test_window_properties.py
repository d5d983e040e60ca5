"""What holds of windows whatever is observed, in whatever order of time."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.vocabulary import SIGNALS, Reading, attributes
from agent.window import INFO, OUTPUT_TOKENS, Observation, Point, Subject, Window, WindowBuilder

MAX_GAP_S = 10.0
WINDOW_S = 60.0
Step = Observation | float
"""An observation, or the end of a window."""

amounts = st.one_of(st.floats(min_value=0.0, max_value=1e6), st.just(math.nan))
gaps = st.one_of(st.floats(min_value=0.1, max_value=20.0), st.floats(min_value=-5.0, max_value=0.0))


@st.composite
def engine_readings(draw: st.DrawFn) -> tuple[Reading, ...]:
    return (
        Reading("joulewise.engine.requests.running", (), draw(st.floats(0.0, 300.0))),
        Reading("joulewise.engine.requests.waiting", (), draw(st.floats(0.0, 50.0))),
        Reading("joulewise.engine.kv_cache.used", (), draw(st.floats(0.0, 1.0))),
        Reading(*OUTPUT_TOKENS, draw(amounts)),
        Reading(INFO, attributes({"joulewise.gpu.ids": "GPU-a"}), 1.0),
    )


@st.composite
def gpu_readings(draw: st.DrawFn) -> tuple[Reading, ...]:
    return (
        Reading("hw.energy", (), draw(amounts)),
        Reading("hw.power", (), draw(st.floats(0.0, 1000.0))),
        Reading("joulewise.gpu.sm.active", (), draw(st.floats(0.0, 1.0))),
    )


@st.composite
def observations(draw: st.DrawFn, at_s: float) -> Observation:
    if draw(st.booleans()):
        return Observation(Subject("instance", "i"), "vllm", at_s, draw(engine_readings()))
    return Observation(Subject("gpu", "GPU-a"), "nvml", at_s, draw(gpu_readings()))


@st.composite
def histories(draw: st.DrawFn, *, steady: bool = False) -> list[Step]:
    """Two windows of observations and their ends; steady clocks never go back."""
    steps: list[Step] = []
    at_s = 0.0
    for end_s in (WINDOW_S, 2 * WINDOW_S):
        for gap_s in draw(st.lists(gaps, max_size=12)):
            start_s = end_s - WINDOW_S
            at_s = min(end_s, max(start_s, at_s + (abs(gap_s) if steady else gap_s)))
            steps.append(draw(observations(at_s)))
        steps.append(end_s)
    return steps


def run(builder: WindowBuilder, steps: Sequence[Step]) -> list[Window]:
    windows: list[Window] = []
    for step in steps:
        if isinstance(step, float):
            windows += builder.close(step)
        else:
            builder.add(step)
    return windows


def series(windows: Sequence[Window]) -> dict[tuple[str, object], list[Point]]:
    found: dict[tuple[str, object], list[Point]] = {}
    for window in windows:
        for point in window.points:
            found.setdefault((point.signal, point.attributes), []).append(point)
    return found


def number(point: Point) -> float:
    assert isinstance(point.value, float)
    return point.value


@given(histories())
def test_every_point_is_of_the_vocabulary_and_not_negative(steps: list[Step]) -> None:
    for window in run(WindowBuilder(0.0, max_gap_s=MAX_GAP_S), steps):
        for point in window.points:
            assert SIGNALS[point.signal].shipped
            assert number(point) >= 0.0
            if SIGNALS[point.signal].kind in {"gauge", "info"}:
                assert point.origin_s is None


@given(histories())
def test_no_more_time_of_levels_is_observed_than_passed(steps: list[Step]) -> None:
    windows = run(WindowBuilder(0.0, max_gap_s=MAX_GAP_S), steps)
    for (signal, pairs), points in series(windows).items():
        group = dict(pairs).get("joulewise.group", "activity")  # type: ignore[call-overload]  # pairs
        if signal.endswith(".observed_time") and group == "activity":
            assert all(
                number(after) - number(before) <= WINDOW_S + 1e-6
                for before, after in pairwise(points)
            )
            assert number(points[-1]) <= 2 * WINDOW_S + 1e-6


@given(histories())
def test_an_integral_is_at_most_the_highest_level_for_the_time_observed(steps: list[Step]) -> None:
    windows = run(WindowBuilder(0.0, max_gap_s=MAX_GAP_S), steps)
    for window in windows:
        values = {
            point.signal: number(point)
            for point in window.points
            if not point.signal.startswith("joulewise.load")
        }
        if "joulewise.engine.kv_cache.used_time" in values:
            assert (
                values["joulewise.engine.kv_cache.used_time"]
                <= values["joulewise.engine.observed_time"] + 1e-6
            )


@given(histories())
def test_counters_never_go_back_within_an_origin(steps: list[Step]) -> None:
    windows = run(WindowBuilder(0.0, max_gap_s=MAX_GAP_S), steps)
    for points in series(windows).values():
        for before, after in pairwise(points):
            if before.origin_s is not None and before.origin_s == after.origin_s:
                assert number(after) >= number(before)


@given(histories(steady=True))
def test_the_counters_by_load_never_exceed_what_was_observed(steps: list[Step]) -> None:
    windows = run(WindowBuilder(0.0, max_gap_s=MAX_GAP_S), steps)
    for window in windows:
        time_s = sum(number(p) for p in window.points if p.signal == "joulewise.load.time")
        assert time_s <= window.end_s + 1e-6


@given(histories(), st.integers(min_value=0, max_value=30))
@settings(max_examples=200)
def test_a_restored_builder_goes_on_as_if_nothing_had_been(steps: list[Step], cut: int) -> None:
    whole = run(WindowBuilder(0.0, max_gap_s=MAX_GAP_S), steps)
    builder = WindowBuilder(0.0, max_gap_s=MAX_GAP_S)
    before = run(builder, steps[:cut])
    snapshot = json.loads(json.dumps(builder.snapshot(), allow_nan=False))
    after = run(WindowBuilder.restore(snapshot, max_gap_s=MAX_GAP_S), steps[cut:])
    assert before + after == whole
