"""What a window makes of levels: the counter that is their integral, and their maximum.

Tables and the one judgement of a limit; `window` applies them.
"""

from __future__ import annotations

RUNNING = "joulewise.engine.requests.running"
WAITING = "joulewise.engine.requests.waiting"
KV_USED = "joulewise.engine.kv_cache.used"
SATURATED = "joulewise.engine.saturated"
"""A level of the window's own: 1 while requests wait for the limit in its attribute."""

INTEGRALS = {
    RUNNING: "joulewise.engine.requests.running_time",
    WAITING: "joulewise.engine.requests.waiting_time",
    KV_USED: "joulewise.engine.kv_cache.used_time",
    SATURATED: "joulewise.engine.saturated_time",
    "joulewise.gpu.engine.active": "joulewise.gpu.engine.active_time",
    "joulewise.gpu.sm.active": "joulewise.gpu.sm.active_time",
    "joulewise.gpu.sm.occupancy": "joulewise.gpu.sm.occupancy_time",
    "joulewise.gpu.tensor.active": "joulewise.gpu.tensor.active_time",
    "joulewise.gpu.dram.active": "joulewise.gpu.dram.active_time",
    "joulewise.gpu.throttle.active": "joulewise.gpu.throttle.time",
    "joulewise.gpu.nvlink.rate": "joulewise.gpu.nvlink.io",
    "joulewise.gpu.io.rate": "hw.gpu.io",
    "hw.power": "hw.energy",
}
"""Levels and the counter that is their integral; a source's own counter goes before it."""

DERIVED = frozenset({"hw.energy"})
"""Integrals that say of themselves that they are no counter of the hardware."""

MAXIMA = {
    RUNNING: "joulewise.engine.requests.running.max",
    WAITING: "joulewise.engine.requests.waiting.max",
    KV_USED: "joulewise.engine.kv_cache.used.max",
    "hw.power": "joulewise.gpu.power.max",
}

OBSERVED: dict[str, dict[str, tuple[str, ...]]] = {
    "joulewise.engine.observed_time": {"": (RUNNING, WAITING, KV_USED)},
    "joulewise.gpu.observed_time": {
        "activity": (
            "joulewise.gpu.sm.active",
            "joulewise.gpu.tensor.active",
            "joulewise.gpu.dram.active",
            "joulewise.gpu.engine.active",
        ),
        "power": ("hw.energy", "hw.power"),
        "link": (
            "joulewise.gpu.nvlink.io",
            "joulewise.gpu.nvlink.rate",
            "hw.gpu.io",
            "joulewise.gpu.io.rate",
        ),
    },
}
"""The denominators, by group: whose observed seconds they are. The first that is there counts."""

FULL_BATCH = 0.95
"""From this share of its limit on a batch counts as full: a sample may miss the last few."""
FULL_KV_CACHE = 0.9
"""From this share of the KV cache in use on, it is what holds requests back."""
LIMITS = ("sequences", "kv_cache", "unknown")


def held_by(running: float | None, kv_used: float | None, sequences: float | None) -> str:
    """Which limit holds the requests that wait."""
    if running is not None and sequences and running >= FULL_BATCH * sequences:
        return "sequences"
    if kv_used is not None and kv_used >= FULL_KV_CACHE:
        return "kv_cache"
    return "unknown"
