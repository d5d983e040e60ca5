"""What this node has, what is missing and how to enable it: behind `joulewise-agent check`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from agent.collector import DcgmCollector, EngineCollector
from agent.discover import (
    CONFIGURED_FIELDS,
    GPU_IDS,
    Get,
    Surroundings,
    discover,
    instance_id,
)
from agent.engines import find_engine
from agent.errors import AgentError, NoData
from agent.fetch import HttpFetch
from agent.identity import CONFIGURATION, TIERS, parse_tiers, short_name
from agent.integrals import DERIVED, INTEGRALS
from agent.nvml import NvmlGpus
from agent.processes import Processes
from agent.settings import Engine, Settings
from agent.vocabulary import SIGNALS, Histogram, Reading
from agent.window import INFO

State = Literal["ok", "partly", "missing"]
MARKS: Mapping[State, str] = {"ok": "+", "partly": "~", "missing": "-"}

GPU_INFO = "joulewise.gpu.info"
SCRAPE_AT_S = 0.0
"""The moment of a single look; no window is made of it."""
TIMEOUT_S = 4.0
BETWEEN_READS_S = 0.15

NOT_THERE = "this GPU or driver does not give it"
IDLE = "not on its page; some engines show it only after a first request"
SET_COMMAND = (
    'set command = "..." of the [[engine]] to the line it is started with, or the fields '
    f"themselves ({', '.join(CONFIGURED_FIELDS)})"
)
SET_GPUS = "set gpus = [0, 1, ...] of the [[engine]] to its GPUs by index or UUID"

USUAL_DCGM = "http://127.0.0.1:9400/metrics"
USUAL_ENGINES = ("http://127.0.0.1:8000", "http://127.0.0.1:30000")
"""Where dcgm-exporter, vLLM with trtllm-serve, and SGLang listen unless told otherwise."""

GPU_WANTED = (
    "hw.energy",
    "hw.power",
    "joulewise.gpu.power.limit",
    "hw.gpu.memory.usage",
    "joulewise.gpu.clock.sm",
    "hw.temperature",
    "joulewise.gpu.throttle.time",
    "joulewise.gpu.nvlink.io",
    "hw.gpu.io",
    "hw.errors",
    "joulewise.gpu.sm.active",
    "joulewise.gpu.tensor.active",
    "joulewise.gpu.dram.active",
)
"""Signals of a GPU that scores and advice look at."""

ENGINE_WANTED = (
    "joulewise.engine.tokens",
    "joulewise.engine.requests.running",
    "joulewise.engine.requests.waiting",
    "joulewise.engine.kv_cache.used",
    "gen_ai.server.time_to_first_token",
    "gen_ai.server.time_per_output_token",
    "joulewise.engine.queue.duration",
)
"""Signals of an instance that scores and advice look at."""

WANTED_FIELDS = tuple(
    name for name in CONFIGURATION if name not in ("joulewise.features", "joulewise.role")
)
"""Fields of the configuration without which advice is poorer; the others have a plain default."""

DCGM_LINES = {
    "joulewise.gpu.sm.active": "DCGM_FI_PROF_SM_ACTIVE, gauge, SM activity",
    "joulewise.gpu.power.limit": "DCGM_FI_DEV_ENFORCED_POWER_LIMIT, gauge, power limit in W",
    "joulewise.gpu.throttle.time": "DCGM_FI_DEV_POWER_VIOLATION, counter, throttled by power in ns",
    "joulewise.gpu.nvlink.io": "DCGM_FI_PROF_NVLINK_TX_BYTES, gauge, NVLink bytes a second",
    "joulewise.gpu.tensor.active": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE, gauge, tensor activity",
    "joulewise.gpu.dram.active": "DCGM_FI_PROF_DRAM_ACTIVE, gauge, memory activity",
    "hw.energy": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, counter, energy in mJ",
    "hw.errors": "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL, counter, uncorrected ECC errors",
}
"""Lines for dcgm-exporter's counters CSV, by the signal that they add."""

ENABLE = {
    "sglang": "start it with --enable-metrics (and --enable-metrics-for-all-schedulers with data "
    "parallel attention)",
    "tensorrt-llm": "put return_perf_metrics: true and enable_iter_perf_stats: true into the YAML "
    "of trtllm-serve --config",
    "vllm": "leave out --disable-log-stats",
}
"""How an engine's metrics are switched on."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fact and, where it is not as it could be, what to do."""

    state: State
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the node: GPUs, exporters, engines."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, as sections for a person."""

    sections: tuple[Section, ...]

    def __str__(self) -> str:
        return "\n\n".join(_rendered(section) for section in self.sections)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a check may touch: GPUs, addresses, processes."""

    gpus: NvmlGpus
    get: Get
    processes: Processes
    pause: Callable[[float], None] = time.sleep

    def around(self) -> Surroundings:
        """The GPUs, if any can be read, and the processes."""
        try:
            infos = {
                gpu.uuid: dict(reading.attributes)
                for gpu in self.gpus.read()
                for reading in gpu.readings
                if reading.signal == GPU_INFO
            }
        except NoData:
            infos = {}
        return Surroundings(infos, self.gpus.computing(), self.processes)


def check(settings: Settings, probe: Probe | None = None) -> Report:
    """What this node has and lacks; nothing is changed and nothing shipped."""
    if probe is None:
        probe = Probe(NvmlGpus(), _get, Processes())
    sections = [Section("GPUs through NVML", tuple(_gpus(settings, probe)))]
    sections.append(Section("dcgm-exporter", tuple(_dcgm(settings, probe))))
    sections.append(Section("Serving engines", tuple(_engines(settings, probe))))
    probe.gpus.close()
    return Report(tuple(sections))


def _get(url: str) -> bytes:
    with HttpFetch(url, timeout_s=TIMEOUT_S) as fetch:
        return fetch()


def _gpus(settings: Settings, probe: Probe) -> Iterator[Line]:
    if not settings.gpu.nvml:
        yield Line("partly", "switched off", "set gpu.nvml = true to read GPUs directly")
        return
    try:
        probe.gpus.read()
        probe.pause(BETWEEN_READS_S)  # activity is the mean between two reads
        gpus = probe.gpus.read()
    except NoData as error:
        yield Line("missing", "no GPU can be read", str(error))
        return
    for gpu in gpus:
        yield Line("ok", _described(gpu.readings))
        yield from _coverage(gpu.readings, GPU_WANTED, _reasons(probe.gpus.missing()[gpu.uuid]))


def _described(readings: Iterable[Reading]) -> str:
    info = next((dict(r.attributes) for r in readings if r.signal == GPU_INFO), {})
    words = (info.get("hw.model"), f"driver {info.get('hw.driver_version', 'unknown')}")
    return f"{info.get('hw.id', 'a GPU')}: {', '.join(filter(None, words))}"


def _reasons(missing: Mapping[str, str]) -> Callable[[str], str]:
    """Why NVML does not give a signal, as far as it said."""
    activity = missing.get("activity", "")

    def reason(signal: str) -> str:
        return missing.get(signal) or (activity if ".active" in signal else "") or NOT_THERE

    return reason


def _coverage(
    readings: Iterable[Reading], wanted: Iterable[str], reason: Callable[[str], str]
) -> Iterator[Line]:
    """One line of what is read, with its values now, and one for each signal that is not."""
    values: dict[str, Reading] = {}
    for reading in readings:
        values.setdefault(reading.signal, reading)
        if (integral := INTEGRALS.get(reading.signal)) and integral not in DERIVED:
            values.setdefault(integral, reading)
    told = [f"{values[name].signal} {_value(values[name])}" for name in wanted if name in values]
    if told:
        yield Line("ok", "reads " + ",\n      ".join(told))
    for name in wanted:
        if name not in values:
            yield Line("partly", f"does not read {name}", reason(name))


def _value(reading: Reading) -> str:
    value, unit = reading.value, SIGNALS[reading.signal].unit
    if isinstance(value, Histogram):
        return f"({value.count:.0f} observed)"
    return f"{value:,.6g} {unit}" if unit != "1" else f"{value:.2f}"


def _dcgm(settings: Settings, probe: Probe) -> Iterator[Line]:
    url = settings.dcgm.url or USUAL_DCGM
    try:
        observations = DcgmCollector(lambda: probe.get(url)).collect(SCRAPE_AT_S)
    except NoData as error:
        if settings.dcgm.url:
            yield Line("missing", f"nothing at {url}", str(error))
        else:
            yield Line("ok", "none set and none at its usual address; NVML needs none")
        return
    hint = "" if settings.dcgm.url else f'to read it, set dcgm.url = "{url}"'
    count = f"{len(observations)} GPU{'s' * (len(observations) > 1)}"
    yield Line("ok" if settings.dcgm.url else "partly", f"{count} at {url}", hint)
    readings = [reading for one in observations for reading in one.readings]
    yield from _coverage(readings, GPU_WANTED, _csv_line)


def _csv_line(signal: str) -> str:
    line = DCGM_LINES.get(signal)
    return f"add to its counters CSV: {line}" if line else NOT_THERE


def _engines(settings: Settings, probe: Probe) -> Iterator[Line]:
    host_id = settings.agent.host_id or socket.gethostname()
    for engine in settings.engine:
        yield from _engine(engine, host_id, probe)
    if settings.engine:
        return
    found = False
    for url in USUAL_ENGINES:
        try:
            discover(Engine(url=url), host_id, probe.around, probe.get)
        except AgentError:
            continue
        found = True
        hint = f'add to the configuration: [[engine]] url = "{url}"'
        yield Line("partly", f"one answers at {url} and is not set", hint)
    if not found:
        usual = " or ".join(USUAL_ENGINES)
        yield Line("missing", f"none set and none at {usual}", "add [[engine]] with its url")


def _engine(engine: Engine, host_id: str, probe: Probe) -> Iterator[Line]:
    try:
        found = discover(engine, host_id, probe.around, probe.get)
        (observation,) = EngineCollector(
            found.instance_id,
            found.table,
            lambda: probe.get(found.metrics_url),
            found.info,
            found.fallback,
        ).collect(SCRAPE_AT_S)
    except AgentError as error:
        yield Line("missing", f"{instance_id(engine, host_id)}: {error}", _how_to_enable(engine))
        return
    yield Line("ok", f"{found.instance_id}: {found.table.title} at {found.metrics_url}")
    info = next(dict(r.attributes) for r in observation.readings if r.signal == INFO)
    yield from _configuration(info)
    yield from _coverage(observation.readings, ENGINE_WANTED, lambda _: IDLE)


def _configuration(info: Mapping[str, str]) -> Iterator[Line]:
    """What is known with its tier, and what to set for what is not."""
    tiers = parse_tiers(info[TIERS])
    for name in (name for name in CONFIGURATION if name in info):
        yield Line("ok", f"{short_name(name)} = {info[name]} ({tiers[short_name(name)]})")
    if GPU_IDS in info:
        yield Line("ok", f"gpu.ids = {info[GPU_IDS]} ({tiers['gpu.ids']})")
    else:
        yield Line("missing", "its GPUs are not known, so its energy is not either", SET_GPUS)
    unknown = [short_name(name) for name in WANTED_FIELDS if name not in info]
    if unknown:
        yield Line("partly", f"not known: {', '.join(unknown)}", SET_COMMAND)


def _how_to_enable(engine: Engine) -> str:
    table = find_engine(engine.kind)
    names = [table.name] if table is not None else list(ENABLE)
    return "; ".join(f"{name}: {ENABLE[name]}" for name in names)


def _rendered(section: Section) -> str:
    lines = [section.title]
    for line in section.lines:
        lines.append(f"  {MARKS[line.state]} {line.text}")
        if line.hint:
            lines.append(f"      {line.hint}")
    return "\n".join(lines)
