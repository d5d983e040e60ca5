"""How wrong the model was of architectures it had not seen: cold, and by what was changed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from advisor.catalog.gpus import kind
from advisor.catalog.precisions import BYTES
from advisor.performance.fit import Residual, engine_word, precision_regime
from advisor.performance.measurements import Row

Quantities = Mapping[str, float | None]
_SAME_LENGTH = 1.3
"""Answers of one task differ a little between runs; beyond this factor rows make no pair."""
_NEAR = 2.05
_LEAST_PAIRS, _LEAST_FAMILIES = 12, 2
"""Fewer pairs or architectures than this give no quantiles of their own."""
_FEW_FAMILIES = 5
"""Fewer architectures do not show which way errors lean: the wider side serves for both."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A measured row beside what a fit without its architecture predicted."""

    row: Row
    predicted: Quantities

    def errors(self) -> dict[str, float]:
        """ln(measured / predicted) of every quantity that was measured."""
        found = {}
        for name, value in measured(self.row).items():
            guess = self.predicted[name]
            if value is not None and guess is not None:
                found[name] = math.log(value / guess)
        return found


def measured(row: Row) -> Quantities:
    """What a row says, by quantity."""
    return {
        "output_tokens_per_s": row.output_tokens_per_s,
        "tpot_s": row.tpot_s,
        "ttft_s": row.ttft_s,
        "power_w": row.power_w,
    }


def regimes(judged: Sequence[Judged]) -> dict[str, dict[str, Residual]]:
    """Quantiles by regime and quantity; every architecture weighs the same within a regime."""
    cold = [(item.row.family, item.errors()) for item in judged]
    found = {"cold": _quantiles(cold)}
    for regime, pairs in _pairs(judged).items():
        errors = [(first.row.family, _difference(first, second)) for first, second in pairs]
        found[regime] = _quantiles(errors)
    return {regime: quantities for regime, quantities in found.items() if quantities}


def _difference(first: Judged, second: Judged) -> dict[str, float]:
    one, other = first.errors(), second.errors()
    return {name: other[name] - one[name] for name in one.keys() & other.keys()}


def _quantiles(errors: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, Residual]:
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for family, found in errors:
        for name, value in found.items():
            values[name][family].append(value)
    return {
        name: _weighted(families)
        for name, families in values.items()
        if sum(map(len, families.values())) >= _LEAST_PAIRS and len(families) >= _LEAST_FAMILIES
    }


def _weighted(families: Mapping[str, Sequence[float]]) -> Residual:
    """5th and 95th percentile where each family has the same weight, whatever its rows."""
    value = np.concatenate([np.asarray(errors) for errors in families.values()])
    weight = np.concatenate(
        [np.full(len(errors), 1.0 / len(errors)) for errors in families.values()]
    )
    order = np.argsort(value)
    share = (np.cumsum(weight[order]) - weight[order] / 2.0) / weight.sum()
    low, high = map(float, np.interp([0.05, 0.95], share, value[order]))
    if len(families) < _FEW_FAMILIES:
        high = max(-low, high)
        low = -high
    return Residual(low, high, len(value), len(families))


def _pairs(judged: Sequence[Judged]) -> dict[str, list[tuple[Judged, Judged]]]:
    """Pairs of rows that differ in one thing: batch within or beyond twice, precision, layout."""
    found: dict[str, list[tuple[Judged, Judged]]] = defaultdict(list)
    for first, second in _alike(judged, _but_batch):
        one, other = sorted((first, second), key=lambda item: item.row.decoding)
        ratio = other.row.decoding / one.row.decoding
        if ratio > 1.05:
            found["batch_near" if ratio <= _NEAR else "batch_far"].append((one, other))
    for first, second in _alike(judged, _but_precision):
        if first.row.configuration.weights != second.row.configuration.weights:
            one, other = sorted((first, second), key=_heavier)
            found["precision"].append((one, other))
            found[precision_regime(one.row.configuration, other.row.configuration)].append(
                (one, other)
            )
    for first, second in _alike(judged, _but_layout):
        if _layout(first.row) != _layout(second.row):
            one, other = sorted((first, second), key=lambda item: item.row.configuration.gpus)
            found["parallel"].append((one, other))
    return found


def _alike(
    judged: Sequence[Judged], key: Callable[[Row], object]
) -> Iterator[tuple[Judged, Judged]]:
    groups: dict[object, list[Judged]] = defaultdict(list)
    for item in judged:
        groups[key(item.row)].append(item)
    for members in groups.values():
        for first, second in combinations(members, 2):
            lengths = first.row.load.output_tokens / second.row.load.output_tokens
            if 1.0 / _SAME_LENGTH <= lengths <= _SAME_LENGTH:
                yield first, second


def _shared(row: Row) -> tuple[object, ...]:
    c = row.configuration
    return row.source, kind(c.gpu), row.family, engine_word(c), row.load.input_tokens


def _layout(row: Row) -> tuple[int, ...]:
    c = row.configuration
    return c.gpus, c.tensor_parallel, c.pipeline_parallel, c.data_parallel, c.expert_parallel


def _but_batch(row: Row) -> object:
    c = row.configuration
    return *_shared(row), *_layout(row), c.weights, c.engine_version


def _but_precision(row: Row) -> object:
    return *_shared(row), *_layout(row), _concurrency(row), row.configuration.engine_version


def _but_layout(row: Row) -> object:
    """At the same requests a GPU, where advice on parallelism compares."""
    c = row.configuration
    per_gpu = row.load.concurrency if row.saturated else row.load.concurrency / c.gpus
    return *_shared(row), c.weights, c.engine_version, round(math.log2(per_gpu), 1)


def _concurrency(row: Row) -> int:
    return round(row.load.concurrency)


def _heavier(item: Judged) -> float:
    return -BYTES[item.row.configuration.weights]
