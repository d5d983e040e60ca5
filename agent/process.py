"""What the agent itself uses, with the child that reads NVML: CPU time and resident memory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from agent.vocabulary import Reading
from agent.window import Observation, Subject

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_USER, _SYSTEM, _START, _RESIDENT = 10, 11, 18, 20
"""Fields of /proc/<pid>/stat after the state, from 0 (proc(5): utime is the 14th of all)."""


class ProcessCollector:
    """The agent as its own source."""

    name = "agent"

    def __init__(self, agent_id: str) -> None:
        self._subject = Subject("agent", agent_id)
        booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self._origin_s = booted_s + _stat("self")[_START] / _TICKS

    def collect(self, at_s: float) -> Sequence[Observation]:
        """CPU seconds since the process began and resident bytes now."""
        stats = [_stat("self"), *_children()]
        ended = os.times()
        cpu_s = sum(stat[_USER] + stat[_SYSTEM] for stat in stats) / _TICKS
        readings = (
            Reading("process.cpu.time", (), cpu_s + ended.children_user + ended.children_system),
            Reading(
                "process.memory.usage", (), sum(stat[_RESIDENT] for stat in stats) * _PAGE_BYTES
            ),
        )
        return [Observation(self._subject, self.name, at_s, readings, self._origin_s)]


def _children() -> list[list[float]]:
    """The living children's fields; one that ends meanwhile is counted among the ended."""
    stats = []
    for listed in Path("/proc/self/task").glob("*/children"):
        for pid in _text(listed).split():
            try:
                stats.append(_stat(pid))
            except OSError:
                continue
    return stats


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # the thread has ended
        return ""


def _stat(process: str) -> list[float]:
    text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    return [float(word) for word in text.rpartition(")")[2].split()[1:]]
