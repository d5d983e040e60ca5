"""The simulator's world and the model that is judged in it rest on different measurements."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _curve_sweeps() -> set[str]:
    data = tomllib.loads((ROOT / "simulator/data/curves.toml").read_text())
    return {curve["sweep"] for curve in data["curve"]}


def _fit_sweeps() -> set[str]:
    data = json.loads((ROOT / "advisor/performance/data/fit.json").read_text())
    return set(data["sweeps"])


def test_no_row_behind_a_simulated_curve_is_in_the_fit() -> None:
    assert _curve_sweeps()
    assert not _curve_sweeps() & _fit_sweeps()


def test_both_name_sweeps_alike() -> None:
    for sweep in _curve_sweeps() | _fit_sweeps():
        gpu, count, family, engine = sweep.split("|")
        assert gpu == gpu.lower()
        assert int(count) > 0
        assert family
        assert engine in {"vllm", "trtllm", "sglang"}


def test_held_out_list_covers_every_curve() -> None:
    held = tomllib.loads((ROOT / "advisor/performance/data/held_out.toml").read_text())
    assert _curve_sweeps() <= set(held["sweeps"])
