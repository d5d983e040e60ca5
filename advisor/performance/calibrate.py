"""Fits the model to published rows, judges it on architectures left out, and writes data/fit.json."""

from __future__ import annotations

import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import HuberRegressor

from advisor.catalog.gpus import kind
from advisor.performance.fit import PowerLaw, group_of
from advisor.performance.hierarchy import Key, fit_levels, nearest, steps_of
from advisor.performance.measurements import Row, read
from advisor.performance.memory import fits
from advisor.performance.power import Activity, activity, watts
from advisor.performance.residuals import Judged, regimes
from advisor.performance.steady import settle
from advisor.performance.step import Constants

_HERE = Path(__file__).parent / "data"
_OVERFULL = 1.3
"""A row whose sequences exceed the modelled cache by this factor did not run them at once."""

Levels = Mapping[Key, Constants]
PowerLaws = Mapping[str, PowerLaw]


def usable(rows: Sequence[Row]) -> list[Row]:
    """Rows that say how many sequences ran: neither queued most of the time nor beyond their memory."""
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
    constants = nearest(levels, group_of(row.configuration))
    running = row.decoding if row.ttft_s is None else row.load.concurrency
    return activity(row.configuration, settle(row.configuration, row.load, constants, running))


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


def judge(rows: Sequence[Row], levels: Levels, laws: PowerLaws) -> list[Judged]:
    """Rows beside what these constants say of them."""
    found = []
    for row in rows:
        c = row.configuration
        constants = nearest(levels, group_of(c))
        steady = settle(c, row.load, constants, row.load.concurrency)
        law = laws.get(c.gpu.generation, laws["all"])
        drawn = watts(c, activity(c, steady), law) if row.power_w is not None else None
        predicted = {
            "output_tokens_per_s": steady.output_tokens_per_s,
            "tpot_s": steady.tpot_s,
            "ttft_s": steady.ttft_s,
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
        levels = fit_levels(rows, steps, np.flatnonzero(families != family))
        others = [row for row in rows if row.family != family]
        laws = power_laws(others, levels)
        found += judge([row for row in rows if row.family == family], levels, laws)
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
            "constants": _rounded(levels[key]),
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
    steps = steps_of(rows)
    levels = fit_levels(rows, steps, np.arange(len(rows)))
    laws = power_laws(rows, levels)
    judged = left_out(rows)
    return {
        "date": date,
        "rows": len(rows),
        "sources": sorted({row.source for row in rows}),
        "architectures": sorted({row.family for row in rows}),
        "sweeps": sorted({row.sweep for row in rows}),
        "default": _rounded(levels[()]),
        "engines": {"|".join(k): _rounded(v) for k, v in sorted(levels.items()) if len(k) == 2},
        "groups": _groups(rows, levels, judged),
        "power": {name: _rounded(law) for name, law in sorted(laws.items())},
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
            "fitted": errors(judge(rows, levels, laws)),
            "architecture_left_out": errors(judged),
        },
    }


def _plain(residual: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in residual.items()}


def main(folder: str) -> None:
    """Rewrites data/fit.json from a folder of benchmark rows."""
    rows = [row for row in usable(read(Path(folder))) if row.sweep not in held_out()]
    found = document(rows, date=datetime.now(UTC).date().isoformat())
    target = _HERE / "fit.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{target}: {found['rows']} rows, errors {json.dumps(found['errors'])}\n")


if __name__ == "__main__":
    main(sys.argv[1])
