"""Which engine serves at an address, on which GPUs and how configured, each field with its tier.

Explicit settings go before the engine's endpoints and page, these before its command line, the
checkpoint's files, its name and the engine's defaults. The catalog is the advisor's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.argv import BATCHED_TOKENS, KV, SEQUENCES, TENSOR, Command, parse_command, program_of
from agent.endpoints import ask_engine, checkpoint_weights
from agent.engine import EngineTable
from agent.engines import ENGINES, find_engine
from agent.errors import AgentError, NoData, PageError, SettingsError
from agent.identity import (
    ARGV,
    CHECKPOINT,
    CONFIGURED,
    DEFAULT,
    ENGINE,
    MODEL,
    PROCESSES,
    WEIGHTS,
    Finding,
    describe,
)
from agent.precision import kv_of, weights_of
from agent.processes import Processes
from agent.read import read_page
from agent.settings import Engine

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
GPU_IDS = "joulewise.gpu.ids"
METRICS_PATHS = {"tensorrt-llm": "/prometheus/metrics"}
"""Where an engine serves its metrics if not at /metrics."""
CONFIGURED_FIELDS = {
    "model": MODEL,
    "weights": WEIGHTS,
    "kv": "joulewise.precision.kv",
    "tensor_parallel": "joulewise.parallel.tensor",
    "pipeline_parallel": "joulewise.parallel.pipeline",
    "data_parallel": "joulewise.parallel.data",
    "expert_parallel": "joulewise.parallel.expert",
    "max_sequences": SEQUENCES,
    "max_batched_tokens": BATCHED_TOKENS,
    "max_model_length": "joulewise.max_model_length",
    "memory_utilization": "joulewise.memory_utilization",
    "role": "joulewise.role",
    "group": "joulewise.group.id",
}
"""Settings of an engine and the attribute each gives."""

GpuInfos = Mapping[str, Mapping[str, str]]
"""What GPUs of this node are, by UUID in the order of their indices."""
Get = Callable[[str], bytes]
"""Gets what is at an address; raises NoData."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What discovery may look at besides the engine: GPUs, who computes on them, processes."""

    gpus: GpuInfos = field(default_factory=dict)
    computing: Mapping[str, Sequence[int]] = field(default_factory=dict)
    processes: Processes | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """One engine as found. `info` is sure; `fallback` holds what its page goes before."""

    instance_id: str
    table: EngineTable
    metrics_url: str
    info: Mapping[str, str]
    fallback: tuple[Finding, ...]

    def described(self) -> dict[str, str]:
        """The attributes of `joulewise.instance.info` as known without the page."""
        name = {"joulewise.engine.name": self.table.name}
        return describe((CONFIGURED, self.info), (ENGINE, name), *self.fallback)


def instance_id(engine: Engine, host_id: str) -> str:
    """The configured name, else the host and the port."""
    parts = urlsplit(engine.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return engine.name or f"{host_id}:{port}"


def discover(
    engine: Engine, host_id: str, look_around: Callable[[], Surroundings], get: Get
) -> Discovered:
    """What serves at the engine's address; the surroundings are looked at once it has answered.

    Raises:
        NoData: nobody answers there, or a program that is not known.
    """
    table, metrics_url = _find_table(engine, get)
    said = _endpoints(engine, table, get)
    around = look_around()
    pid, command = _command(engine, around.processes)
    configured = {**_configured(engine), **_gpu_ids(engine, around)}
    info = describe((CONFIGURED, configured), (ENGINE, said), (ARGV, _model(command)))
    seen = _gpus_of(pid, around)
    fallback: list[Finding] = [
        (PROCESSES, seen),
        (ARGV, command.said if command else {}),
        (CHECKPOINT, _checkpoint(info.get(MODEL, ""))),
    ]
    if command is not None or TENSOR in said:  # all its arguments are known
        first_gpu = (info.get(GPU_IDS) or seen.get(GPU_IDS, "")).split(",")[0]
        fallback.append((DEFAULT, _defaults(table, around.gpus.get(first_gpu, {}))))
    return Discovered(instance_id(engine, host_id), table, metrics_url, info, tuple(fallback))


def _find_table(engine: Engine, get: Get) -> tuple[EngineTable, str]:
    """The engine's table and the address of its metrics, which has answered."""
    if engine.kind == "auto":
        return _recognise(engine, get)
    table = find_engine(engine.kind)
    if table is None:
        raise SettingsError(
            f"reading engine.kind = {engine.kind!r}: no such engine; give one of "
            f"{', '.join(ENGINES)} or auto"
        )
    url = _metrics_url(engine, METRICS_PATHS.get(table.name, "/metrics"))
    get(url)
    return table, url


def _recognise(engine: Engine, get: Get) -> tuple[EngineTable, str]:
    refused: AgentError | None = None
    for path in ("/prometheus/metrics", "/metrics"):
        url = _metrics_url(engine, path)
        try:
            table = find_engine(read_page("auto", get(url), url).program)
        except (NoData, PageError) as error:
            refused = error
            continue
        if table is not None:
            return table, url
    raise NoData(f"finding the engine at {engine.url}: {refused or 'it is a GPU exporter'}")


def _metrics_url(engine: Engine, path: str) -> str:
    own = urlsplit(engine.url).path
    return engine.url if own not in {"", "/"} else _base(engine) + path


def _base(engine: Engine) -> str:
    parts = urlsplit(engine.url)
    return f"{parts.scheme}://{parts.netloc}"


def _endpoints(engine: Engine, table: EngineTable, get: Get) -> dict[str, str]:
    def ask(path: str) -> Any:
        try:
            return json.loads(get(_base(engine) + path))
        except (NoData, ValueError, RecursionError):
            return None

    return ask_engine(table.name, ask)


def _command(engine: Engine, processes: Processes | None) -> tuple[int | None, Command | None]:
    """The process that serves, and its command line: the configured one or the nearest known."""
    parts = urlsplit(engine.url)
    pid = None
    if processes is not None and parts.hostname in LOOPBACK and parts.port:
        pid = processes.listening(parts.port)
    if engine.command:
        return pid, parse_command(engine.command)
    line = processes.ancestry(pid) if processes is not None and pid is not None else []
    commands = (parse_command(processes.command(one)) for one in line if processes is not None)
    return pid, next(filter(None, commands), None)


def _model(command: Command | None) -> dict[str, str]:
    """The model of the command line, which a page knows only by the name it serves it under."""
    return {MODEL: command.said[MODEL]} if command and MODEL in command.said else {}


def _configured(engine: Engine) -> dict[str, str]:
    values = {name: getattr(engine, name) for name in CONFIGURED_FIELDS}
    said = {CONFIGURED_FIELDS[name]: _text(value) for name, value in values.items() if value}
    if WEIGHTS in said:
        said[WEIGHTS] = weights_of(said[WEIGHTS]) or said[WEIGHTS]
    return said


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _gpu_ids(engine: Engine, around: Surroundings) -> dict[str, str]:
    """The UUIDs of the GPUs configured; indices count in the order of the driver."""
    known = list(around.gpus)
    ids = []
    for name in engine.gpus:
        if not name.isdecimal():
            ids.append(name)
        elif int(name) < len(known):
            ids.append(known[int(name)])
        elif known:
            raise SettingsError(
                f"reading engine.gpus of {engine.url}: there is no GPU {name}, this node has "
                f"{len(known)}; give indices from 0 or UUIDs"
            )
    return {GPU_IDS: ",".join(ids)} if len(ids) == len(engine.gpus) > 0 else {}


def _gpus_of(pid: int | None, around: Surroundings) -> dict[str, str]:
    """The GPUs that the process or its children compute on."""
    if pid is None or around.processes is None:
        return {}
    lines = around.processes.ancestry
    ids = [
        uuid
        for uuid, computing in around.computing.items()
        if any(pid in lines(one) for one in computing)
    ]
    return {GPU_IDS: ",".join(ids)}


def _checkpoint(model: str) -> dict[str, str]:
    """What the files of a model on this disk say; nothing for a name or a folder not readable."""
    folder = Path(model)
    if not folder.is_absolute():
        return {}
    exported = _document(folder / "hf_quant_config.json").get("quantization")
    quantization = exported if isinstance(exported, dict) else {}
    weights = weights_of(str(quantization.get("quant_algo") or ""))
    weights = weights or checkpoint_weights(_document(folder / "config.json"))
    kv = kv_of(str(quantization.get("kv_cache_quant_algo") or ""))
    return {name: word for name, word in ((WEIGHTS, weights), (KV, kv)) if word}


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _defaults(table: EngineTable, gpu: Mapping[str, str]) -> dict[str, str]:
    program = program_of(table.name)
    own = program.defaults if program is not None else {}
    return {**_batch_defaults(table, gpu), **own, WEIGHTS: "bf16"}


def _batch_defaults(table: EngineTable, gpu: Mapping[str, str]) -> dict[str, str]:
    """Batch limits that vLLM sets itself, by the GPU, where no flag does (EngineArgs, 0.33)."""
    memory = gpu.get("joulewise.gpu.memory", "")
    if table.name != "vllm" or not memory.isdecimal():
        return {}
    gib = int(memory) / 2**30
    is_large = gib >= 70 and "a100" not in gpu.get("hw.model", "").lower()
    tokens = (16384 if gib >= 160 else 8192) if is_large else 2048
    return {SEQUENCES: "1024" if is_large else "256", BATCHED_TOKENS: str(tokens)}
