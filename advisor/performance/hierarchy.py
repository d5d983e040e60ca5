"""Fits step constants to measured times per token: all rows, then each engine, then each group, each a prior."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from advisor.performance.fit import group_of
from advisor.performance.measurements import Row
from advisor.performance.steady import mix
from advisor.performance.step import Constants, step_time
from advisor.performance.work import Work, step_work

Floats = NDArray[np.float64]
Key = tuple[str, ...]

PRIOR = Constants(
    memory_efficiency=0.8,
    expert_efficiency=0.6,
    cache_efficiency=0.7,
    compute_efficiency=0.6,
    layer_s=3e-5,
    moe_layer_s=3e-5,
    sequence_s=1e-5,
    step_s=5e-4,
    collective_s=6e-6,
)
"""Where the fit starts: the typical values of facts on published sweeps (docs/model.md)."""
_WIDTH = np.array([0.3, 0.4, 0.5, 0.5, 0.7, 0.7, 0.8, 0.8, 0.6])
"""One standard deviation of the prior, in natural logarithms, by field of Constants."""
_TIGHTER = (1.0, 0.7, 0.4)
"""How far each level may leave the one above: everything, engine, group."""
_LOWEST, _HIGHEST = (
    np.log(astuple(PRIOR)) - 5.0,
    np.log([1, 1, 1, 0.95, 1e-3, 1e-3, 1e-3, 2e-2, 1e-4]),
)
_NOISE = 0.12
"""Log error of a row that counts as ordinary; larger ones count linearly, not squared."""
_ROWS_A_FAMILY = 12
"""A family counts as at most so many rows, so that the most measured model does not decide alone."""


@dataclass(frozen=True)
class Steps:
    """The plain and mixed steps of many rows as arrays, and the share of mixed ones."""

    plain: Work
    mixed: Work
    share: Floats

    def take(self, rows: NDArray[np.intp]) -> Steps:
        """The steps of some rows."""
        return Steps(_take(self.plain, rows), _take(self.mixed, rows), self.share[rows])


def _take(work: Work, rows: NDArray[np.intp]) -> Work:
    return Work(*(getattr(work, field.name)[rows] for field in fields(Work)))


def _stack(works: Sequence[Work]) -> Work:
    columns: list[Any] = [np.array(column) for column in zip(*map(astuple, works), strict=True)]
    return Work(*columns)


def steps_of(rows: Sequence[Row]) -> Steps:
    """The steps of rows at the batch that was measured."""
    mixes = [
        mix(row.configuration, row.load, row.decoding / row.configuration.data_parallel)
        for row in rows
    ]
    pairs = list(zip(rows, mixes, strict=True))
    return Steps(
        _stack([step_work(row.configuration, found.plain) for row, found in pairs]),
        _stack([step_work(row.configuration, found.mixed) for row, found in pairs]),
        np.array([found.share for found in mixes]),
    )


def times_per_token(steps: Steps, k: Constants) -> Floats:
    """Mean step of each row in seconds."""
    plain, mixed = step_time(steps.plain, k).total_s, step_time(steps.mixed, k).total_s
    return np.asarray((1.0 - steps.share) * plain + steps.share * mixed)


def _solve(
    steps: Steps, target: Floats, families: Sequence[str], start: Floats, width: Floats
) -> Floats:
    """Logarithms of constants: robust residuals of rows, and the distance from where they started."""
    counts = Counter(families)
    weight = np.array([np.sqrt(min(counts[f], _ROWS_A_FAMILY) / counts[f]) for f in families])

    def residuals(x: Floats) -> Floats:
        error = (np.log(times_per_token(steps, Constants(*np.exp(x)))) - target) / _NOISE
        robust = np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + error**2) - 1.0))
        return np.concatenate([weight * robust, (x - start) / width])

    inside = np.clip(start, _LOWEST + 1e-6, _HIGHEST - 1e-6)
    solution = least_squares(residuals, inside, bounds=(_LOWEST, _HIGHEST), max_nfev=60)
    return np.asarray(solution.x)


def fit_levels(rows: Sequence[Row], steps: Steps, chosen: NDArray[np.intp]) -> dict[Key, Constants]:
    """Constants by key: () for everything, (generation, engine), (generation, engine, weights)."""
    target = np.log([rows[i].tpot_s for i in range(len(rows))])
    found: dict[Key, Floats] = {}
    start: dict[Key, Floats] = {(): np.log(astuple(PRIOR))}
    for level, depth in enumerate((0, 2, 3)):
        members: dict[Key, list[int]] = defaultdict(list)
        for i in chosen:
            members[group_of(rows[i].configuration)[:depth]].append(int(i))
        for key, indices in members.items():
            index = np.array(indices)
            parent = start[()] if level == 0 else found[key[:2] if level == 2 else ()]
            families = [rows[i].family for i in indices]
            found[key] = _solve(
                steps.take(index), target[index], families, parent, _WIDTH * _TIGHTER[level]
            )
    return {key: Constants(*map(float, np.exp(x))) for key, x in found.items()}


def nearest(levels: Mapping[Key, Constants], group: Key) -> Constants:
    """Constants of a group, else of its engine, else of everything."""
    return levels.get(group, levels.get(group[:2], levels[()]))
