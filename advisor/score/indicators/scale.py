"""Scale and complexity: does it keep up with demand of every size without waste?"""

from __future__ import annotations

from advisor.score.indicators.view import Kind, View
from advisor.score.result import Indicator

_SATURATED = Kind(
    "scale.saturated",
    "Time with a queue",
    "1",
    "raise the limit that holds requests back, or add capacity",
    "saturated_sequences_s, saturated_kv_cache_s, saturated_unknown_s, observed_s",
    worst=0.5,
    best=0.0,
)
IDLE = Kind(
    "scale.idle_allocated",
    "Time allocated without a request",
    "1",
    "consolidate: let fewer instances carry the load, or release the GPUs outside busy hours",
    "load_time_s, running_time_s, observed_s",
    worst=1.0,
    best=0.1,
)
_HEADROOM = Kind(
    "scale.kv_headroom",
    "KV cache never used",
    "1",
    "give the KV cache more memory, or store it in FP8",
    "kv_used_max",
    worst=0.02,
    best=0.15,
)
_PREEMPTIONS = Kind(
    "scale.preemptions",
    "Preemptions a request",
    "{request}/{request}",
    "give the KV cache more memory, or lower the batch limit",
    "preemptions, requests",
    worst=0.05,
    best=0.0,
)


def _saturated(view: View) -> Indicator:
    value = view.situation.measured.saturated_ratio
    return _SATURATED.of(value, f"requests waited {value or 0:.0%} of the time")


def _idle(view: View) -> Indicator:
    busy = view.situation.measured.busy_ratio
    value = None if busy is None else 1.0 - busy
    return IDLE.of(value, f"no request ran {value or 0:.0%} of the time")


def _headroom(view: View) -> Indicator:
    used = view.situation.measured.kv_used_max
    value = None if used is None else max(1.0 - used, 0.0)
    return _HEADROOM.of(value, f"the KV cache was filled to {used or 0:.0%} at most")


def _preemptions(view: View) -> Indicator:
    value = view.situation.workload.preemptions_per_request
    return _PREEMPTIONS.of(value, f"{value or 0:.2%} of requests were preempted")


KINDS = (_SATURATED, IDLE, _HEADROOM, _PREEMPTIONS)
INDICATORS = (_saturated, _idle, _headroom, _preemptions)
