"""What bounds an instance or a node, in the words of the glossary: the first that holds, in order.

Faults come before limits and limits before regimes: a queue explains more than a busy memory bus.
"""

from __future__ import annotations

from collections.abc import Sequence

from advisor.score.health import Health
from advisor.score.result import Diagnosis
from advisor.score.situation import SATURATED_RATIO, Situation

IDLE_BUSY_RATIO = 0.2
"""Busy less than this share of the time is idle."""
THROTTLED_RATIO = 0.1
ACTIVE_UTILIZATION = 0.5


def diagnose(situation: Situation, bottleneck: str | None) -> Diagnosis:
    """What bounds one instance. `bottleneck` is the model's word, used where nothing else holds."""
    word, reason = _instance_word(situation, bottleneck)
    measured, health = situation.measured, situation.health
    figures = {
        "busy_ratio": measured.busy_ratio,
        "saturated_ratio": measured.saturated_ratio,
        "kv_used_max": measured.kv_used_max,
        "utilization": health.utilization,
        "engine_active": health.engine_active,
        "dram_active": health.dram_active,
        "tensor_active": health.tensor_active,
        "throttle_power": health.throttle_power,
        "throttle_thermal": health.throttle_thermal,
    }
    known = {name: value for name, value in figures.items() if value is not None}
    return Diagnosis("instance", situation.instance.id, word, reason, known)


def _instance_word(situation: Situation, bottleneck: str | None) -> tuple[str, str]:
    fault = telemetry_fault(situation.health)
    if fault:
        return "telemetry_fault", fault
    if situation.instance.role == "reserved":
        return "reserved", "its owner keeps this instance in reserve"
    busy = situation.measured.busy_ratio
    if busy is not None and busy < IDLE_BUSY_RATIO:
        return "idle", f"requests ran {busy:.1%} of the time"
    held = _throttled(situation.health)
    if held:
        return "throttled", held
    return _limit(situation) or _regime(situation, bottleneck)


def telemetry_fault(health: Health) -> str | None:
    """Why the counters cannot be right: kernels ran and yet the engine was never active."""
    if health.utilization is None or health.utilization < ACTIVE_UTILIZATION:
        return None
    if health.engine_active is None or health.engine_active > 0:
        return None
    return f"kernels ran {health.utilization:.0%} of the time but engine activity is exactly 0"


def _throttled(health: Health) -> str | None:
    for name, share in (
        ("heat", health.throttle_thermal),
        ("the power cap", health.throttle_power),
    ):
        if share is not None and share >= THROTTLED_RATIO:
            return f"clocks were held back by {name} {share:.0%} of the time"
    return None


def _limit(situation: Situation) -> tuple[str, str] | None:
    work = situation.workload
    if (work.saturated_kv_cache or 0.0) >= SATURATED_RATIO:
        return (
            "kv_capacity",
            f"the KV cache held requests back {work.saturated_kv_cache:.0%} of the time",
        )
    if (work.saturated_sequences or 0.0) >= SATURATED_RATIO:
        limit = situation.instance.max_sequences
        return "queue", (
            f"requests waited {work.saturated_sequences:.0%} of the time at the limit of {limit}"
        )
    queued = situation.measured.saturated_ratio
    if (queued or 0.0) >= SATURATED_RATIO:
        return "queue", f"requests waited {queued:.0%} of the time"
    return None


def _regime(situation: Situation, bottleneck: str | None) -> tuple[str, str]:
    dram, tensor = situation.health.dram_active, situation.health.tensor_active
    if dram is not None and tensor is not None:
        word = "compute" if tensor > dram else "memory_bandwidth"
        return word, f"memory was active {dram:.0%} and tensor cores {tensor:.0%} of the time"
    if bottleneck:
        return bottleneck, "by the performance model; activity of the GPUs was not observed"
    return "unknown_workload", "too little was observed to say what bounds it"


def diagnose_node(
    host_id: str, health: Health, parts: Sequence[tuple[float, Diagnosis]]
) -> Diagnosis:
    """What bounds a node: the word of most of its GPUs; `parts` are instances with their GPUs."""
    fault = telemetry_fault(health)
    if fault:
        return Diagnosis("node", host_id, "telemetry_fault", fault, {})
    if not parts:
        return _without_engine(host_id, health)
    weight: dict[str, float] = {}
    for gpus, part in parts:
        weight[part.word] = weight.get(part.word, 0.0) + gpus
    word = max(weight, key=lambda name: weight[name])
    first = next(part for _, part in parts if part.word == word)
    return Diagnosis("node", host_id, word, first.reason, first.figures)


def _without_engine(host_id: str, health: Health) -> Diagnosis:
    used = health.utilization
    if used is None:
        return Diagnosis("node", host_id, "unknown_workload", "nothing was observed of it", {})
    if used >= IDLE_BUSY_RATIO / 2:
        reason = f"kernels ran {used:.0%} of the time but no serving engine was found"
        return Diagnosis("node", host_id, "unknown_workload", reason, {"utilization": used})
    reason = f"no serving engine was found and kernels ran {used:.1%} of the time"
    return Diagnosis("node", host_id, "idle", reason, {"utilization": used})
