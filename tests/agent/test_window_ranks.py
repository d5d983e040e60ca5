"""Ranks, workers and models of one page become one instance."""

from __future__ import annotations

import math

from agent.ranks import merge_ranks
from agent.vocabulary import Histogram, Reading, attributes

RUNNING = "joulewise.engine.requests.running"
TTFT = "gen_ai.server.time_to_first_token"


def reading(signal: str, value: float | Histogram, **named: str) -> Reading:
    names = {"model": "gen_ai.request.model", "kind": "joulewise.token.type"}
    pairs = {names.get(name, f"joulewise.rank.{name}"): word for name, word in named.items()}
    return Reading(signal, attributes(pairs), value)


def histogram(*counts: float) -> Histogram:
    bounds = (*(float(n) for n in range(1, len(counts))), math.inf)
    return Histogram(tuple(zip(bounds, counts, strict=True)), sum(counts), counts[-1])


def test_data_ranks_are_added() -> None:
    merged = merge_ranks([reading(RUNNING, 3.0, data="0"), reading(RUNNING, 4.0, data="1")])
    assert merged == (Reading(RUNNING, (), 7.0),)


def test_tensor_ranks_repeat_one_another() -> None:
    merged = merge_ranks([reading(RUNNING, 3.0, tensor="0"), reading(RUNNING, 2.0, tensor="1")])
    assert merged == (Reading(RUNNING, (), 3.0),)


def test_the_share_of_the_kv_cache_is_the_mean_of_the_ranks() -> None:
    signal = "joulewise.engine.kv_cache.used"
    merged = merge_ranks([reading(signal, 0.2, data="0"), reading(signal, 0.6, data="1")])
    assert merged == (Reading(signal, (), 0.4),)


def test_the_capacity_of_the_kv_cache_is_the_sum_of_the_ranks() -> None:
    signal = "joulewise.engine.kv_cache.capacity"
    merged = merge_ranks([reading(signal, 100.0, data="0"), reading(signal, 100.0, data="1")])
    assert merged == (Reading(signal, (), 200.0),)


def test_attributes_of_the_signal_itself_stay() -> None:
    signal = "joulewise.engine.tokens"
    merged = merge_ranks(
        [
            reading(signal, 1.0, kind="input", data="0", model="m"),
            reading(signal, 2.0, kind="input", data="1", model="m"),
            reading(signal, 5.0, kind="output", data="0", model="m"),
        ]
    )
    assert merged == (
        Reading(signal, (("joulewise.token.type", "input"),), 3.0),
        Reading(signal, (("joulewise.token.type", "output"),), 5.0),
    )


def test_histograms_with_the_same_bounds_are_added_and_keep_the_one_model() -> None:
    merged = merge_ranks(
        [
            reading(TTFT, histogram(1.0, 2.0), data="0", model="m"),
            reading(TTFT, histogram(3.0, 5.0), data="1", model="m"),
        ]
    )
    (one,) = merged
    assert one.attributes == (("gen_ai.request.model", "m"),)
    assert one.value == Histogram(((1.0, 4.0), (math.inf, 7.0)), 11.0, 7.0)


def test_histograms_of_two_models_lose_their_model() -> None:
    merged = merge_ranks(
        [
            reading(TTFT, histogram(1.0, 2.0), model="m"),
            reading(TTFT, histogram(3.0, 5.0), model="n"),
        ]
    )
    assert [one.attributes for one in merged] == [()]


def test_histograms_with_other_bounds_cannot_be_added() -> None:
    merged = merge_ranks(
        [
            reading(TTFT, histogram(1.0, 2.0), data="0"),
            reading(TTFT, histogram(1.0, 2.0, 3.0), data="1"),
        ]
    )
    assert merged == ()
