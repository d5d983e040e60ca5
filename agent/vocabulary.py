"""Every signal Joulewise knows: name, unit, kind, subject, attributes and a brief.

Sources, windows, the receiver and the documentation all read this one table; nothing is emitted that is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "info"]
SubjectKind = Literal["gpu", "instance", "node", "agent"]
Attributes = tuple[tuple[str, str], ...]
"""Attribute pairs sorted by name, so that equal sets are equal keys."""


def attributes(pairs: dict[str, str]) -> Attributes:
    """Attribute pairs in their canonical order."""
    return tuple(sorted(pairs.items()))


@dataclass(frozen=True, slots=True)
class Signal:
    """One entry of the vocabulary. A counter is cumulative since its origin; a gauge is a level.

    `shipped` is false for levels that only `read` and `check` show: a window ships their integral.
    """

    name: str
    unit: str
    kind: Kind
    subject: SubjectKind
    attributes: tuple[str, ...]
    brief: str
    shipped: bool = True


@dataclass(frozen=True, slots=True)
class Histogram:
    """A cumulative histogram: (upper bound, count at or below it) pairs, the last bound infinite."""

    buckets: tuple[tuple[float, float], ...]
    sum: float
    count: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one signal, in the unit the vocabulary gives it. An info signal has value 1."""

    signal: str
    attributes: Attributes
    value: float | Histogram


# fmt: off
_ALL = (
    Signal("hw.energy", "J", "counter", "gpu", ("hw.id", "hw.type", "joulewise.scope"), "energy since the origin of the counter (driver load); integrated from power only where no counter exists and then joulewise.derived=true"),
    Signal("hw.power", "W", "gauge", "gpu", ("hw.id", "hw.type", "joulewise.scope"), "mean board power over the window"),
    Signal("joulewise.gpu.power.max", "W", "gauge", "gpu", ("hw.id",), "highest power sample in the window"),
    Signal("joulewise.gpu.power.limit", "W", "gauge", "gpu", ("hw.id",), "enforced power limit"),
    Signal("hw.gpu.utilization", "1", "gauge", "gpu", ("hw.id", "hw.gpu.task"), "share of time at least one kernel ran; never evidence of efficiency"),
    Signal("hw.gpu.memory.usage", "By", "gauge", "gpu", ("hw.id",), "used framebuffer without the driver's reserve"),
    Signal("hw.gpu.memory.limit", "By", "gauge", "gpu", ("hw.id",), "total framebuffer; on a dcgm-exporter page without it the sum of used, free and reserved"),
    Signal("hw.gpu.io", "By", "counter", "gpu", ("hw.id", "network.io.direction"), "PCIe bytes"),
    Signal("hw.temperature", "Cel", "gauge", "gpu", ("hw.id", "hw.sensor_location"), "mean temperature over the window"),
    Signal("hw.errors", "{error}", "counter", "gpu", ("hw.id", "hw.type", "error.type"), "ECC errors"),
    Signal("joulewise.gpu.xid", "{error}", "counter", "gpu", ("hw.id", "joulewise.xid"), "XID events; a page's gauge is the last code: attribute joulewise.xid, value 1; 0 there is no reading"),
    Signal("joulewise.gpu.engine.active_time", "s", "counter", "gpu", ("hw.id",), "integral of graphics/compute engine activity (ratio x seconds)"),
    Signal("joulewise.gpu.sm.active_time", "s", "counter", "gpu", ("hw.id",), "integral of SM activity"),
    Signal("joulewise.gpu.sm.occupancy_time", "s", "counter", "gpu", ("hw.id",), "integral of SM occupancy"),
    Signal("joulewise.gpu.tensor.active_time", "s", "counter", "gpu", ("hw.id",), "integral of tensor pipe activity (any tensor)"),
    Signal("joulewise.gpu.dram.active_time", "s", "counter", "gpu", ("hw.id",), "integral of memory interface activity"),
    Signal("joulewise.gpu.observed_time", "s", "counter", "gpu", ("hw.id", "joulewise.group"), "seconds actually observed: the denominator of the integrals"),
    Signal("joulewise.gpu.clock.sm", "Hz", "gauge", "gpu", ("hw.id",), "mean SM clock"),
    Signal("joulewise.gpu.clock.memory", "Hz", "gauge", "gpu", ("hw.id",), "mean memory clock"),
    Signal("joulewise.gpu.throttle.time", "s", "counter", "gpu", ("hw.id", "joulewise.reason"), "time clocks were held back"),
    Signal("joulewise.gpu.nvlink.io", "By", "counter", "gpu", ("hw.id", "network.io.direction"), "NVLink bytes over all links"),
    Signal("joulewise.gpu.nvlink.errors", "{error}", "counter", "gpu", ("hw.id", "error.type"), "NVLink errors by kind"),
    Signal("joulewise.gpu.nvlink.links", "{link}", "gauge", "gpu", ("hw.id", "joulewise.state"), "links up and links the part has"),
    Signal("joulewise.gpu.c2c.io", "By", "counter", "gpu", ("hw.id", "network.io.direction"), "bytes between Grace and GPU"),
    Signal("joulewise.gpu.pcie.replays", "{replay}", "counter", "gpu", ("hw.id",), "PCIe replays"),
    Signal("joulewise.gpu.row_remaps", "{row}", "gauge", "gpu", ("hw.id", "error.type", "joulewise.state"), "remapped memory rows"),
    Signal("joulewise.gpu.info", "1", "info", "gpu", ("hw.id", "hw.model", "hw.driver_version", "joulewise.gpu.compute_capability", "joulewise.gpu.memory", "joulewise.gpu.pcie.generation", "joulewise.gpu.pcie.width", "joulewise.fabric.cluster", "joulewise.fabric.clique", "joulewise.mig.parent", "joulewise.mig.profile", "joulewise.mig.slice", "joulewise.gpu.vbios"), "what the GPU is"),
    Signal("hw.host.energy", "J", "counter", "node", ("joulewise.scope",), "energy of the host where it is metered (BMC, RAPL, hwmon), GPUs excluded unless joulewise.scope says so"),
    Signal("hw.host.power", "W", "gauge", "node", ("joulewise.scope",), "power of the host by scope"),
    Signal("joulewise.node.info", "1", "info", "node", ("host.id", "host.name", "joulewise.node.kernel", "cloud.provider", "host.type", "k8s.node.name", "joulewise.slurm.cluster"), "what the node is"),
    Signal("joulewise.engine.tokens", "{token}", "counter", "instance", ("joulewise.token.type",), "tokens; input is what was billed, input_computed what was prefilled"),
    Signal("joulewise.engine.requests.finished", "{request}", "counter", "instance", ("joulewise.finish",), "finished requests"),
    Signal("joulewise.engine.requests.arrived", "{request}", "counter", "instance", (), "requests that arrived, where the engine says so"),
    Signal("joulewise.engine.requests.running_time", "s", "counter", "instance", (), "integral of running requests (request-seconds)"),
    Signal("joulewise.engine.requests.waiting_time", "s", "counter", "instance", (), "integral of waiting requests"),
    Signal("joulewise.engine.requests.running.max", "{request}", "gauge", "instance", (), "most running requests seen in the window"),
    Signal("joulewise.engine.requests.waiting.max", "{request}", "gauge", "instance", (), "most waiting requests seen in the window"),
    Signal("joulewise.engine.saturated_time", "s", "counter", "instance", ("joulewise.limit",), "time with requests waiting, by the limit that held them"),
    Signal("joulewise.engine.observed_time", "s", "counter", "instance", (), "seconds observed: the denominator of the integrals"),
    Signal("joulewise.engine.kv_cache.used_time", "s", "counter", "instance", (), "integral of KV-cache use (ratio x seconds)"),
    Signal("joulewise.engine.kv_cache.used.max", "1", "gauge", "instance", (), "highest KV-cache use in the window"),
    Signal("joulewise.engine.kv_cache.capacity", "{token}", "gauge", "instance", (), "KV-cache capacity in tokens"),
    Signal("joulewise.engine.preemptions", "{request}", "counter", "instance", (), "preempted or retracted requests"),
    Signal("joulewise.engine.prefix_cache.queries", "{token}", "counter", "instance", (), "tokens looked up in the prefix cache"),
    Signal("joulewise.engine.prefix_cache.hits", "{token}", "counter", "instance", (), "tokens found there"),
    Signal("joulewise.engine.draft_tokens", "{token}", "counter", "instance", ("joulewise.state",), "speculative decoding"),
    Signal("joulewise.engine.flops", "{flop}", "counter", "instance", (), "analytic FLOPs per GPU where the engine counts them"),
    Signal("joulewise.engine.memory_io", "By", "counter", "instance", ("network.io.direction",), "analytic memory bytes per GPU where the engine counts them"),
    Signal("joulewise.engine.forward_time", "s", "counter", "instance", ("joulewise.phase",), "GPU-busy seconds by phase where the engine counts them"),
    Signal("gen_ai.server.time_to_first_token", "s", "histogram", "instance", ("gen_ai.request.model",), "time to first token"),
    Signal("gen_ai.server.time_per_output_token", "s", "histogram", "instance", ("gen_ai.request.model",), "time per output token after the first"),
    Signal("gen_ai.server.request.duration", "s", "histogram", "instance", ("gen_ai.request.model",), "end-to-end request time"),
    Signal("joulewise.engine.queue.duration", "s", "histogram", "instance", (), "time in queue"),
    Signal("joulewise.engine.inter_token.duration", "s", "histogram", "instance", (), "time between tokens as streamed, where it differs from time per output token"),
    Signal("joulewise.engine.request.input_tokens", "{token}", "histogram", "instance", (), "prompt length"),
    Signal("joulewise.engine.request.output_tokens", "{token}", "histogram", "instance", (), "answer length"),
    Signal("joulewise.engine.step.tokens", "{token}", "histogram", "instance", (), "tokens in an engine step"),
    Signal("joulewise.load.time", "s", "counter", "instance", ("joulewise.running_bin",), "time spent with that many running requests (power-of-two bins)"),
    Signal("joulewise.load.output_tokens", "{token}", "counter", "instance", ("joulewise.running_bin",), "output tokens produced at that load"),
    Signal("joulewise.load.energy", "J", "counter", "instance", ("joulewise.running_bin",), "energy of the instance's GPUs at that load"),
    Signal("joulewise.instance.info", "1", "info", "instance", ("joulewise.engine.name", "joulewise.engine.version", "joulewise.model", "joulewise.model.digest", "joulewise.precision.weights", "joulewise.precision.kv", "joulewise.parallel.tensor", "joulewise.parallel.pipeline", "joulewise.parallel.data", "joulewise.parallel.expert", "joulewise.max_sequences", "joulewise.max_batched_tokens", "joulewise.max_model_length", "joulewise.memory_utilization", "joulewise.kv_cache.block_size", "joulewise.features", "joulewise.role", "joulewise.group.id", "joulewise.gpu.ids", "joulewise.config.digest", "joulewise.tiers"), "live configuration; a change of the digest is an event"),
    Signal("joulewise.agent.source.success", "1", "gauge", "agent", ("joulewise.source",), "1 when the source was read"),
    Signal("joulewise.agent.source.duration", "s", "gauge", "agent", ("joulewise.source",), "how long reading took"),
    Signal("joulewise.agent.batches", "{batch}", "counter", "agent", ("joulewise.state", "joulewise.reason"), "conservation: produced = acknowledged + spooled + dropped"),
    Signal("joulewise.agent.spool.size", "By", "gauge", "agent", (), "bytes waiting on disk"),
    Signal("joulewise.agent.spool.age", "s", "gauge", "agent", (), "age of the oldest batch waiting"),
    Signal("process.cpu.time", "s", "counter", "agent", (), "CPU of the agent with its child"),
    Signal("process.memory.usage", "By", "gauge", "agent", (), "resident memory of the agent with its child"),
    # Shown by `read` and `check` and never shipped: levels of one moment, and what only cross-checks.
    Signal("joulewise.engine.requests.running", "{request}", "gauge", "instance", (), "requests in the running batch at this moment", shipped=False),
    Signal("joulewise.engine.requests.waiting", "{request}", "gauge", "instance", (), "requests waiting at this moment", shipped=False),
    Signal("joulewise.engine.kv_cache.used", "1", "gauge", "instance", (), "share of the KV cache in use at this moment", shipped=False),
    Signal("joulewise.engine.energy", "J", "counter", "instance", (), "energy of its GPUs where the engine meters it itself; a cross-check", shipped=False),
    Signal("joulewise.gpu.engine.active", "1", "gauge", "gpu", ("hw.id",), "graphics/compute engine activity at this moment", shipped=False),
    Signal("joulewise.gpu.sm.active", "1", "gauge", "gpu", ("hw.id",), "SM activity at this moment", shipped=False),
    Signal("joulewise.gpu.sm.occupancy", "1", "gauge", "gpu", ("hw.id",), "SM occupancy at this moment", shipped=False),
    Signal("joulewise.gpu.tensor.active", "1", "gauge", "gpu", ("hw.id",), "tensor pipe activity at this moment", shipped=False),
    Signal("joulewise.gpu.dram.active", "1", "gauge", "gpu", ("hw.id",), "memory interface activity at this moment", shipped=False),
    Signal("joulewise.gpu.throttle.active", "1", "gauge", "gpu", ("hw.id", "joulewise.reason"), "1 while clocks are held back for this reason", shipped=False),
    Signal("joulewise.gpu.nvlink.rate", "By/s", "gauge", "gpu", ("hw.id", "network.io.direction"), "NVLink bytes a second over all links, where only a rate is exposed; direction absent where both are summed", shipped=False),
    Signal("joulewise.gpu.io.rate", "By/s", "gauge", "gpu", ("hw.id", "network.io.direction"), "PCIe bytes a second, where only a rate is exposed", shipped=False),
)
# fmt: on
SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _ALL}

# Attributes that any engine signal may carry: what keeps ranks and models of one page apart.
RANK_ATTRIBUTES = (
    "gen_ai.request.model",
    "joulewise.rank.data",
    "joulewise.rank.tensor",
    "joulewise.rank.pipeline",
    "joulewise.rank.expert",
    "joulewise.worker",
)
# Attributes of the parts of a GPU on dcgm-exporter pages.
PART_ATTRIBUTES = ("joulewise.mig.slice", "joulewise.mig.profile", "joulewise.nvlink.link")

RUNNING_BINS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Lower bounds of the load bins: running requests, powers of two."""


def running_bin(running: float) -> int:
    """The lower bound of the bin that holds `running` requests; the last bin is open above."""
    if running < 1:
        return 0
    return min(1 << (int(running).bit_length() - 1), RUNNING_BINS[-1])


def markdown() -> str:
    """The reference of all signals, docs/signals.md: one table a subject."""
    lines = [
        "# Signals",
        "",
        "Generated from `agent/vocabulary.py`, where a signal is one line; a test keeps it current.",
        "A counter is cumulative since its origin; a gauge is a level; an info has the value 1 and says what it says",
        "in attributes. Signals marked *shown* are printed by `joulewise-agent read` and `check` and never shipped.",
        "Any engine signal may also carry " + _names(RANK_ATTRIBUTES) + "; any GPU signal of a",
        "dcgm-exporter page " + _names(PART_ATTRIBUTES) + ".",
    ]
    for subject in ("gpu", "instance", "node", "agent"):
        lines += [
            "",
            f"## {subject}",
            "",
            "| signal | unit | kind | attributes | what it is |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(signal) for signal in _ALL if signal.subject == subject]
    return "\n".join(lines) + "\n"


def _row(signal: Signal) -> str:
    kind = signal.kind if signal.shipped else f"{signal.kind}, *shown*"
    return f"| `{signal.name}` | {signal.unit} | {kind} | {_names(signal.attributes)} | {signal.brief} |"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
