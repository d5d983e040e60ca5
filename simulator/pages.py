"""Metrics pages of serving engines, as templates of our own from the engines' documented names.

A template is built once an instance; a page is then one formatting of its numbers.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np

from simulator import trtllm, vllm
from simulator.instance import Instance
from simulator.sheet import POSITION
from simulator.tally import NAMES, SLICES, Levels, Tally

_ENGINES = {"vllm": vllm, "trtllm": trtllm}


class Page:
    """A page of one instance; `render` fills in what it counts and shows."""

    def __init__(self, instance: Instance, started_s: float) -> None:
        self._capacity = instance.kv_capacity_tokens
        self._started_s = started_s
        engine = _ENGINES[instance.curve.engine]
        self._block = engine.BLOCK_TOKENS
        sheet = engine.build(instance, started_s)
        self._text = "".join(sheet.lines)
        self._pick = itemgetter(*(POSITION[slot] for slot in sheet.slots))

    def render(self, tally: Tally, levels: Levels, at_s: float) -> bytes:
        """The page at Unix time `at_s`, as the engine would answer."""
        scalars = tally.scalars
        finished = float(int(scalars["finished_stop"])) + float(int(scalars["finished_length"]))
        used_blocks = float(int(levels.kv_used * self._capacity / self._block))
        uptime_s = at_s - self._started_s
        flat = [
            float(levels.running),
            float(levels.waiting),
            levels.kv_used,
            used_blocks,
            float(self._capacity // self._block) - used_blocks,
            float(int(scalars["input_tokens"])),
            float(int(scalars["output_tokens"])),
            float(int(scalars["finished_stop"])),
            float(int(scalars["finished_length"])),
            finished,
            float(int(scalars["preemptions"])),
            round(0.6 * scalars["busy_s"] + 0.002 * uptime_s, 2),
            *_cumulative(tally),
            *(round(tally.sums[name], 6) for name in NAMES),
        ]
        text: str = self._text % self._pick(flat)
        return text.encode()


def _cumulative(tally: Tally) -> list[float]:
    """Whole cumulative counts of all histograms in a row."""
    row: list[float] = []
    summed = np.floor(np.cumsum(tally.counts) + 1e-6)
    for part in SLICES.values():
        before = summed[part.start - 1] if part.start else 0.0
        row.extend((summed[part] - before).tolist())
    return row
