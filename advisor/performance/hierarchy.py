"""Fits step constants to measured times per token: all rows, engines, precisions, then groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from advisor.performance.fit import HIGHEST, group_of, shifted
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
_WIDTH = np.array([0.3, 0.4, 0.5, 0.2, 0.7, 0.7, 0.8, 0.8, 0.6])
"""One standard deviation of the prior, in natural logarithms, by field of Constants."""
_ENGINE_WIDTH, _GROUP_WIDTH = 0.7 * _WIDTH, 0.3 * _WIDTH
"""How far an engine may leave what all share, and a group its engine moved by its precision."""
_OFFSET_WIDTH = np.array([0.3, 0.3, 0.02, 0.1, 0.3, 0.3, 0.02, 0.02, 0.02])
"""How far a precision moves constants: kernels and their overheads, nothing else."""
_LOWEST, _HIGHEST = np.log(astuple(PRIOR)) - 5.0, np.log(astuple(HIGHEST))
_NOISE = 0.12
"""Log error of a row that counts as ordinary; larger ones count linearly, not squared."""
_ROWS_A_FAMILY = 12
"""A family counts as at most so many rows: the most measured must not decide alone."""
_ROUNDS = 2
"""Rounds between engines and precisions; a third moves no constant by more than 2 %."""
_PLAIN = "bf16"
"""The precision that moves nothing: the others are told by what they do beside it."""


@dataclass(frozen=True)
class Steps:
    """The plain and mixed steps of many rows as arrays, and what was measured.

    `share` is of mixed steps, `measured` ln(seconds per token), `keys` the rows' groups.
    """

    plain: Work
    mixed: Work
    share: Floats
    measured: Floats
    families: NDArray[np.str_]
    keys: tuple[Key, ...]

    def take(self, rows: NDArray[np.intp]) -> Steps:
        """The steps of some rows."""
        return Steps(
            _take(self.plain, rows),
            _take(self.mixed, rows),
            self.share[rows],
            self.measured[rows],
            self.families[rows],
            tuple(self.keys[i] for i in rows),
        )


@dataclass(frozen=True)
class Levels:
    """Constants by key, () or (generation, engine[, precision]), and precision offsets."""

    constants: Mapping[Key, Constants]
    offsets: Mapping[str, Mapping[str, float]]

    def of(self, group: Key) -> Constants:
        """Constants of a group, else of its engine or of everything, moved by its precision."""
        if group in self.constants:
            return self.constants[group]
        base = self.constants.get(group[:2], self.constants[()])
        return shifted(base, self.offsets.get(group[2], {}))


def _take(work: Work, rows: NDArray[np.intp]) -> Work:
    return Work(*(getattr(work, field.name)[rows] for field in fields(Work)))


def _stack(works: Sequence[Work]) -> Work:
    columns: list[Any] = [np.array(column) for column in zip(*map(astuple, works), strict=True)]
    return Work(*columns)


def steps_of(rows: Sequence[Row]) -> Steps:
    """The steps of rows at the batch that was measured."""
    mixes = []
    for row in rows:
        c = row.configuration
        mixes.append(mix(c, row.load, row.decoding / (c.data_parallel * c.pipeline_parallel)))
    pairs = list(zip(rows, mixes, strict=True))
    return Steps(
        plain=_stack([step_work(row.configuration, found.plain) for row, found in pairs]),
        mixed=_stack([step_work(row.configuration, found.mixed) for row, found in pairs]),
        share=np.array([found.share for found in mixes]),
        measured=np.log([row.tpot_s for row in rows]),
        families=np.array([row.family for row in rows]),
        keys=tuple(group_of(row.configuration) for row in rows),
    )


def times_per_token(steps: Steps, k: Constants) -> Floats:
    """Mean step of each row in seconds."""
    plain, mixed = step_time(steps.plain, k).total_s, step_time(steps.mixed, k).total_s
    return np.asarray((1.0 - steps.share) * plain + steps.share * mixed)


def _solve(steps: Steps, beside: Floats, start: Floats, width: Floats) -> Floats:
    """Logarithms of constants, to be added to `beside` (one row a step), near `start`.

    Rows count by a robust loss, and the distance from the start as prior.
    """
    counts = Counter(steps.families)
    weight = np.array([np.sqrt(min(counts[f], _ROWS_A_FAMILY) / counts[f]) for f in steps.families])

    def residuals(x: Floats) -> Floats:
        constants = Constants(*np.exp(np.minimum(beside + x, _HIGHEST)).T)
        error = (np.log(times_per_token(steps, constants)) - steps.measured) / _NOISE
        robust = np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + error**2) - 1.0))
        return np.concatenate([weight * robust, (x - start) / width])

    return np.asarray(least_squares(residuals, start, max_nfev=60).x)


def _by(steps: Steps, part: slice) -> dict[Key, NDArray[np.intp]]:
    """Rows by a part of their group key."""
    members: dict[Key, list[int]] = defaultdict(list)
    for i, key in enumerate(steps.keys):
        members[key[part]].append(i)
    return {key: np.array(found) for key, found in members.items()}


def fit_levels(steps: Steps) -> Levels:
    """Everything, then engines beside precisions in turn, then each group near both.

    An engine's constants are the prior of its groups and everything's the prior of engines, so that
    few rows move little.
    """
    offsets = {key[0]: np.zeros(len(_WIDTH)) for key in _by(steps, slice(2, 3))}
    for _ in range(_ROUNDS):
        beside = np.array([offsets[key[2]] for key in steps.keys])
        everything = _solve(steps, beside, np.log(astuple(PRIOR)), _WIDTH)
        engines = {
            key: _solve(steps.take(rows), beside[rows], everything, _ENGINE_WIDTH)
            for key, rows in _by(steps, slice(2)).items()
        }
        base = np.array([engines[key[:2]] for key in steps.keys])
        for (word,), rows in _by(steps, slice(2, 3)).items():
            if word != _PLAIN:
                nothing = np.zeros(len(_WIDTH))
                offsets[word] = _solve(steps.take(rows), base[rows], nothing, _OFFSET_WIDTH)
    found: dict[Key, Floats] = {(): everything, **engines}
    for key, rows in _by(steps, slice(3)).items():
        prior = np.minimum(engines[key[:2]] + offsets[key[2]], _HIGHEST)
        found[key] = _solve(steps.take(rows), np.zeros((1, len(_WIDTH))), prior, _GROUP_WIDTH)
    return Levels({key: _constants(x) for key, x in found.items()}, _named(offsets))


def _constants(x: Floats) -> Constants:
    return Constants(*map(float, np.exp(np.minimum(x, _HIGHEST))))


def _named(offsets: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    names = [field.name for field in fields(Constants)]
    return {word: dict(zip(names, map(float, by), strict=True)) for word, by in offsets.items()}
