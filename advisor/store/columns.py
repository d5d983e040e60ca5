"""Where each shipped signal is kept: the one table from signal and attributes to a store column.

The receiver reads it to name what arrives, the store to make its tables. No SQL and no OTLP here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agent.vocabulary import RUNNING_BINS, SubjectKind

Merge = Literal["sum", "max", "mean"]
Hour = Literal["delta", "mean", "max", "last"]

KINDS: tuple[SubjectKind, ...] = ("gpu", "instance", "node", "agent")
"""The kinds of subject, each one table of the store."""

SUBJECT_ATTRIBUTE: Mapping[SubjectKind, str] = {"gpu": "hw.id", "instance": "joulewise.instance.id"}
"""The point attribute that names the subject; a node is its host and an agent its epoch."""

REPEATED_RANKS = ("joulewise.rank.tensor", "joulewise.rank.pipeline")
"""Ranks of one replica repeat its figures: only rank 0 is kept. Data-parallel ranks are merged."""

PARTS = ("joulewise.mig.slice", "joulewise.nvlink.link")
"""Attributes of a part of a GPU. A part never stands for the whole, so such points are not kept."""


@dataclass(frozen=True, slots=True)
class Column:
    """A store column. `merge` joins points of several ranks or reasons of one window.

    `hour` says how windows become an hour: counters by deltas, levels by mean, maximum or last.
    """

    name: str
    hour: Hour = "delta"
    merge: Merge = "sum"

    @property
    def cumulative(self) -> bool:
        """Whether the column holds end values of a counter, kept with the time of their origin."""
        return self.hour == "delta"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a signal goes: `columns` by the values of the attributes `by`, else `other`.

    Absent attributes are empty strings. A combination with neither is known and not kept.
    `histogram` is the short name of a histogram; `splits` names an attribute that becomes the
    fragment's source.
    """

    kind: SubjectKind
    columns: Mapping[tuple[str, ...], Column] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    other: Column | None = None
    histogram: str | None = None
    info: bool = False
    splits: str | None = None


def _one(kind: SubjectKind, column: Column) -> Place:
    return Place(kind, {(): column})


def _by(
    kind: SubjectKind, attribute: str, columns: Mapping[str, Column], other: Column | None = None
) -> Place:
    return Place(kind, {(value,): c for value, c in columns.items()}, (attribute,), other)


def _directions(prefix: str) -> Place:
    words = {"transmit": "transmit", "receive": "receive", "": "both"}
    columns = {value: Column(f"{prefix}_{word}_bytes") for value, word in words.items()}
    return _by("gpu", "network.io.direction", columns)


def _bins(prefix: str) -> Place:
    columns = {str(low): Column(f"{prefix}_{low}") for low in RUNNING_BINS}
    return _by("instance", "joulewise.running_bin", columns)


def _scopes(prefix: str, suffix: str, hour: Hour) -> Place:
    names = {"": prefix, **{s: f"{prefix}_{s}" for s in ("cpu", "module", "chassis")}}
    columns = {scope: Column(f"{name}_{suffix}", hour, "sum") for scope, name in names.items()}
    return _by("node", "joulewise.scope", columns)


_ENERGY = Place(
    "gpu",
    {
        ("", ""): Column("energy_j"),
        ("gpu", ""): Column("energy_j"),
        ("", "true"): Column("energy_derived_j"),
        ("gpu", "true"): Column("energy_derived_j"),
        ("module", ""): Column("energy_module_j"),
    },
    ("joulewise.scope", "joulewise.derived"),
)
_POWER = {
    "": Column("power_w", "mean", "max"),
    "gpu": Column("power_w", "mean", "max"),
    "module": Column("power_module_w", "mean", "max"),
}
_TEMPERATURE = {
    "": Column("temperature_celsius", "mean", "max"),
    "gpu": Column("temperature_celsius", "mean", "max"),
    "memory": Column("temperature_memory_celsius", "mean", "max"),
}
_THROTTLE = {
    "power_cap": Column("throttle_power_s"),
    "thermal_sw": Column("throttle_thermal_s"),
    "thermal_hw": Column("throttle_thermal_s"),
}
_TOKENS = {
    "input": Column("input_tokens"),
    "input_cached": Column("input_cached_tokens"),
    "input_computed": Column("input_computed_tokens"),
    "output": Column("output_tokens"),
}
_GENERAL = Column("utilization", "mean", "max")

_GPU: dict[str, Place] = {
    "hw.energy": _ENERGY,
    "hw.power": _by("gpu", "joulewise.scope", _POWER),
    "joulewise.gpu.power.max": _one("gpu", Column("power_max_w", "max", "max")),
    "joulewise.gpu.power.limit": _one("gpu", Column("power_limit_w", "last", "max")),
    "hw.gpu.utilization": _by("gpu", "hw.gpu.task", {"": _GENERAL, "general": _GENERAL}),
    "hw.gpu.memory.usage": _one("gpu", Column("memory_used_bytes", "mean", "max")),
    "hw.gpu.memory.limit": _one("gpu", Column("memory_limit_bytes", "last", "max")),
    "hw.gpu.io": _directions("pcie"),
    "hw.temperature": _by("gpu", "hw.sensor_location", _TEMPERATURE),
    "hw.errors": _by(
        "gpu",
        "error.type",
        {"corrected": Column("ecc_corrected"), "uncorrected": Column("ecc_uncorrected")},
    ),
    "joulewise.gpu.xid": Place("gpu", other=Column("xid_errors")),
    "joulewise.gpu.engine.active_time": _one("gpu", Column("engine_active_s")),
    "joulewise.gpu.sm.active_time": _one("gpu", Column("sm_active_s")),
    "joulewise.gpu.sm.occupancy_time": _one("gpu", Column("sm_occupancy_s")),
    "joulewise.gpu.tensor.active_time": _one("gpu", Column("tensor_active_s")),
    "joulewise.gpu.dram.active_time": _one("gpu", Column("dram_active_s")),
    "joulewise.gpu.observed_time": _by(
        "gpu",
        "joulewise.group",
        {g: Column(f"{g}_observed_s") for g in ("activity", "power", "link")},
    ),
    "joulewise.gpu.clock.sm": _one("gpu", Column("clock_sm_hz", "mean", "max")),
    "joulewise.gpu.clock.memory": _one("gpu", Column("clock_memory_hz", "mean", "max")),
    "joulewise.gpu.throttle.time": _by(
        "gpu", "joulewise.reason", _THROTTLE, Column("throttle_other_s")
    ),
    "joulewise.gpu.nvlink.io": _directions("nvlink"),
    "joulewise.gpu.nvlink.errors": Place("gpu", other=Column("nvlink_errors")),
    "joulewise.gpu.nvlink.links": _by(
        "gpu",
        "joulewise.state",
        {s: Column(f"nvlink_links_{s}", "last", "max") for s in ("active", "expected")},
    ),
    "joulewise.gpu.c2c.io": _directions("c2c"),
    "joulewise.gpu.pcie.replays": _one("gpu", Column("pcie_replays")),
    "joulewise.gpu.row_remaps": _by(
        "gpu",
        "joulewise.state",
        {s: Column(f"row_remaps_{s}", "last", "sum") for s in ("done", "pending", "failed")},
    ),
    "joulewise.gpu.info": Place("gpu", info=True),
}

_NODE: dict[str, Place] = {
    "hw.host.energy": _scopes("host_energy", "j", "delta"),
    "hw.host.power": _scopes("host_power", "w", "mean"),
    "joulewise.node.info": Place("node", info=True),
}

_INSTANCE: dict[str, Place] = {
    "joulewise.engine.tokens": _by("instance", "joulewise.token.type", _TOKENS),
    "joulewise.engine.requests.finished": _by(
        "instance",
        "joulewise.finish",
        {"abort": Column("failed_requests"), "error": Column("failed_requests")},
        Column("completed_requests"),
    ),
    "joulewise.engine.requests.arrived": _one("instance", Column("arrived_requests")),
    "joulewise.engine.requests.running_time": _one("instance", Column("running_time_s")),
    "joulewise.engine.requests.waiting_time": _one("instance", Column("waiting_time_s")),
    "joulewise.engine.requests.running.max": _one("instance", Column("running_max", "max")),
    "joulewise.engine.requests.waiting.max": _one("instance", Column("waiting_max", "max")),
    "joulewise.engine.saturated_time": _by(
        "instance",
        "joulewise.limit",
        {
            "sequences": Column("saturated_sequences_s", merge="max"),
            "kv_cache": Column("saturated_kv_cache_s", merge="max"),
        },
        Column("saturated_unknown_s", merge="max"),
    ),
    "joulewise.engine.observed_time": _one("instance", Column("observed_s", merge="max")),
    "joulewise.engine.kv_cache.used_time": _one("instance", Column("kv_used_time_s", merge="mean")),
    "joulewise.engine.kv_cache.used.max": _one("instance", Column("kv_used_max", "max", "max")),
    "joulewise.engine.kv_cache.capacity": _one("instance", Column("kv_capacity_tokens", "last")),
    "joulewise.engine.preemptions": _one("instance", Column("preemptions")),
    "joulewise.engine.prefix_cache.queries": _one("instance", Column("prefix_queries")),
    "joulewise.engine.prefix_cache.hits": _one("instance", Column("prefix_hits")),
    "joulewise.engine.draft_tokens": _by(
        "instance",
        "joulewise.state",
        {s: Column(f"draft_tokens_{s}") for s in ("proposed", "accepted")},
    ),
    "joulewise.engine.flops": _one("instance", Column("flops", merge="mean")),
    "joulewise.engine.memory_io": _by(
        "instance",
        "network.io.direction",
        {d: Column(f"memory_{d}_bytes", merge="mean") for d in ("read", "write")},
    ),
    "joulewise.engine.forward_time": _by(
        "instance",
        "joulewise.phase",
        {p: Column(f"forward_{p}_s", merge="mean") for p in ("prefill", "decode", "mixed")},
    ),
    "joulewise.load.time": _bins("load_time"),
    "joulewise.load.output_tokens": _bins("load_output_tokens"),
    "joulewise.load.energy": _bins("load_energy"),
    "joulewise.instance.info": Place("instance", info=True),
}

HISTOGRAM_NAMES: Mapping[str, str] = {
    "gen_ai.server.time_to_first_token": "ttft_s",
    "gen_ai.server.time_per_output_token": "tpot_s",
    "gen_ai.server.request.duration": "duration_s",
    "joulewise.engine.queue.duration": "queue_s",
    "joulewise.engine.inter_token.duration": "inter_token_s",
    "joulewise.engine.request.input_tokens": "input_tokens",
    "joulewise.engine.request.output_tokens": "output_tokens",
    "joulewise.engine.step.tokens": "step_tokens",
}
"""Short names of histograms, as advisor.summary.HISTOGRAMS and one more."""


def histogram_origin(name: str) -> str:
    """The key of a histogram's origin in a fragment; `input_tokens` is a counter's column too."""
    return f"{name}.histogram"


_AGENT: dict[str, Place] = {
    "joulewise.agent.source.success": Place(
        "agent", {(): Column("source_success", "mean", "max")}, splits="joulewise.source"
    ),
    "joulewise.agent.source.duration": Place(
        "agent", {(): Column("source_duration_s", "mean", "max")}, splits="joulewise.source"
    ),
    "joulewise.agent.batches": _by(
        "agent",
        "joulewise.state",
        {s: Column(f"batches_{s}") for s in ("produced", "acknowledged", "spooled", "dropped")},
    ),
    "joulewise.agent.spool.size": _one("agent", Column("spool_bytes", "last", "max")),
    "joulewise.agent.spool.age": _one("agent", Column("spool_age_s", "max", "max")),
    "process.cpu.time": _one("agent", Column("cpu_s")),
    "process.memory.usage": _one("agent", Column("memory_bytes", "mean", "sum")),
}

PLACES: Mapping[str, Place] = {
    **_GPU,
    **_NODE,
    **_INSTANCE,
    **{signal: Place("instance", histogram=name) for signal, name in HISTOGRAM_NAMES.items()},
    **_AGENT,
}
"""Every shipped signal and where it is kept."""


def _columns_of(kind: SubjectKind) -> dict[str, Column]:
    places = [place for place in PLACES.values() if place.kind == kind]
    found = [c for place in places for c in (*place.columns.values(), place.other) if c]
    return {column.name: column for column in found}


COLUMNS: Mapping[SubjectKind, Mapping[str, Column]] = {kind: _columns_of(kind) for kind in KINDS}
"""The columns of each kind's table, by name."""
