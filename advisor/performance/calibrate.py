"""Fits the model to published rows, judges it on architectures left out, writes data/fit.json."""

from __future__ import annotations

import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import HuberRegressor

from advisor.catalog.gpus import kind
from advisor.performance.fit import PowerLaw, group_of
from advisor.performance.hierarchy import Key, Levels, Steps, fit_levels, steps_of
from advisor.performance.measurements import Row, read
from advisor.performance.memory import fits
from advisor.performance.power import Activity, activity, watts
from advisor.performance.residuals import Judged, regimes
from advisor.performance.steady import settle
from advisor.performance.step import Constants

_HERE = Path(__file__).parent / "data"
_OVERFULL = 1.3
"""A row whose sequences exceed the modelled cache by this factor did not run them at once."""

PowerLaws = Mapping[str, PowerLaw]


def usable(rows: Sequence[Row]) -> list[Row]:
    """Rows that say how many sequences ran: not mostly queued, not beyond their memory."""
    found = []
    for row in rows:
        decode_s = row.tpot_s * (row.load.output_tokens - 1.0)
        queued = row.ttft_s is not None and row.ttft_s > decode_s
        room = fits(replace(row.configuration, memory_utilization=0.95), row.load).max_concurrency
        if not queued and row.decoding <= _OVERFULL * room:
            found.append(row)
    return found


def held_out() -> frozenset[str]:
    """Sweeps that the shipped fit never sees."""
    text = (_HERE / "held_out.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["sweeps"])


def _activity(row: Row, levels: Levels) -> Activity:
    constants = levels.of(group_of(row.configuration))
    return activity(row.configuration, settle(row.configuration, row.load, constants, row.running))


def power_laws(rows: Sequence[Row], levels: Levels) -> dict[str, PowerLaw]:
    """One law a generation with measured watts, and one over all; Huber's loss bears odd runs."""
    by_generation: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.power_w is not None:
            by_generation[row.configuration.gpu.generation].append(row)
            by_generation["all"].append(row)
    return {name: _law(members, levels) for name, members in by_generation.items()}


def _law(rows: Sequence[Row], levels: Levels) -> PowerLaw:
    busy = [_activity(row, levels) for row in rows]
    inputs = np.array([(item.memory, item.compute, item.batch) for item in busy])
    drawn = [(row.power_w or 0.0) / row.configuration.gpu.tdp_w for row in rows]
    model = HuberRegressor(alpha=1e-2, max_iter=1000).fit(inputs, np.log(drawn))
    memory, compute, batch = map(float, model.coef_)
    return PowerLaw(float(model.intercept_), memory, compute, batch)


def first_tokens(rows: Sequence[Row], levels: Levels) -> dict[str, float]:
    """Median of measured over modelled time to first token by engine: bursts, tokenizing, HTTP."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.ttft_s is None:
            continue
        constants = levels.of(group_of(row.configuration))
        modelled_s = settle(row.configuration, row.load, constants, row.running).ttft_s
        for name in (row.configuration.engine, "all"):
            ratios[name].append(row.ttft_s / modelled_s)
    return {name: float(np.median(found)) for name, found in ratios.items()}


@dataclass(frozen=True)
class Trained:
    """Everything that one set of rows teaches."""

    levels: Levels
    laws: PowerLaws
    first_token: Mapping[str, float]


def train(rows: Sequence[Row], steps: Steps) -> Trained:
    """Constants from times per token, then watts and first tokens beside them."""
    levels = fit_levels(steps)
    return Trained(levels, power_laws(rows, levels), first_tokens(rows, levels))


def judge(rows: Sequence[Row], trained: Trained) -> list[Judged]:
    """Rows beside what these constants say of them."""
    found = []
    levels, laws = trained.levels, trained.laws
    for row in rows:
        c = row.configuration
        constants = levels.of(group_of(c))
        steady = settle(c, row.load, constants, row.running)
        law = laws.get(c.gpu.generation, laws["all"])
        drawn = watts(c, activity(c, steady), law) if row.power_w is not None else None
        predicted = {
            "output_tokens_per_s": steady.output_tokens_per_s,
            "tpot_s": steady.tpot_s,
            "ttft_s": steady.ttft_s * trained.first_token.get(c.engine, trained.first_token["all"]),
            "power_w": drawn,
        }
        found.append(Judged(row, predicted))
    return found


def left_out(rows: Sequence[Row]) -> list[Judged]:
    """Every row judged by a fit that never saw its architecture, whatever GPU or engine."""
    steps = steps_of(rows)
    families = np.array([row.family for row in rows])
    found: list[Judged] = []
    for family in sorted(set(families)):
        others = [row for row in rows if row.family != family]
        trained = train(others, steps.take(np.flatnonzero(families != family)))
        found += judge([row for row in rows if row.family == family], trained)
    return found


def errors(judged: Sequence[Judged]) -> dict[str, float]:
    """Mean absolute log error by quantity."""
    values: dict[str, list[float]] = defaultdict(list)
    for item in judged:
        for name, error in item.errors().items():
            values[name].append(abs(error))
    return {name: round(float(np.mean(found)), 4) for name, found in values.items()}


def _groups(rows: Sequence[Row], levels: Levels, judged: Sequence[Judged]) -> dict[str, Any]:
    members: dict[Key, list[Row]] = defaultdict(list)
    errors_of: dict[Key, list[Judged]] = defaultdict(list)
    for row in rows:
        members[group_of(row.configuration)].append(row)
    for item in judged:
        errors_of[group_of(item.row.configuration)].append(item)
    return {
        "|".join(key): {
            "constants": _rounded(levels.constants[key]),
            "rows": len(found),
            "architectures": sorted({row.family for row in found}),
            "batches": [
                round(min(row.decoding / row.configuration.gpus for row in found), 3),
                round(max(row.decoding / row.configuration.gpus for row in found), 3),
            ],
            "left_out_error": errors(errors_of[key]).get("tpot_s"),
        }
        for key, found in sorted(members.items())
    }


def _rounded(values: Constants | PowerLaw) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in asdict(values).items()}


def document(rows: Sequence[Row], *, date: str) -> dict[str, Any]:
    """The fit as JSON: constants, the rows they come from and the errors they left."""
    trained = train(rows, steps_of(rows))
    levels = trained.levels
    judged = left_out(rows)
    return {
        "date": date,
        "rows": len(rows),
        "sources": sorted({row.source for row in rows}),
        "architectures": sorted({row.family for row in rows}),
        "sweeps": sorted({row.sweep for row in rows}),
        "default": _rounded(levels.constants[()]),
        "engines": {
            "|".join(key): _rounded(found)
            for key, found in sorted(levels.constants.items())
            if len(key) == 2
        },
        "offsets": {word: _plain(by) for word, by in sorted(levels.offsets.items())},
        "groups": _groups(rows, levels, judged),
        "first_token": _plain(dict(sorted(trained.first_token.items()))),
        "power": {name: _rounded(law) for name, law in sorted(trained.laws.items())},
        "power_measured": sorted(
            {
                f"{kind(row.configuration.gpu)}|{row.configuration.engine}"
                for row in rows
                if row.power_w is not None
            }
        ),
        "residuals": {
            regime: {name: _plain(asdict(found)) for name, found in quantities.items()}
            for regime, quantities in regimes(judged).items()
        },
        "errors": {
            "fitted": errors(judge(rows, trained)),
            "architecture_left_out": errors(judged),
        },
    }


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def main(folder: str) -> None:
    """Rewrites data/fit.json from a folder of benchmark rows."""
    rows = [row for row in usable(read(Path(folder))) if row.sweep not in held_out()]
    found = document(rows, date=datetime.now(UTC).date().isoformat())
    target = _HERE / "fit.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{target}: {found['rows']} rows, errors {json.dumps(found['errors'])}\n")


if __name__ == "__main__":
    main(sys.argv[1])
