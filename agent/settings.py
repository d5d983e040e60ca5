"""Everything that can be set on an agent: name, type, default and meaning, each in one place.

Where the values come from is `config`'s part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from agent.errors import SettingsError
from agent.spool import DESTINATION, MAX_AGE_S, MAX_BYTES

HIDDEN = "hidden"
"""Marks a setting whose value may hold a secret and is never shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """`[agent]`: who this node is and how long a window lasts."""

    host_id: Annotated[str, "id of the node; empty: /etc/machine-id"] = ""
    host_name: Annotated[str, "name of the node; empty: the host's name"] = ""
    state_directory: Annotated[
        Path, "folder of the spool; has to outlive a restart; under systemd $STATE_DIRECTORY"
    ] = Path("/var/lib/joulewise-agent")
    window_s: Annotated[float, "seconds a window lasts; divides an hour"] = 60.0
    max_gap_s: Annotated[
        float, "longest time between two samples of a source that counts as observed"
    ] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """`[gpu]`: NVIDIA's management library."""

    nvml: Annotated[bool, "read GPUs through NVML"] = True
    interval_s: Annotated[float, "seconds between samples"] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dcgm:
    """`[dcgm]`: a dcgm-exporter on this node."""

    url: Annotated[str, "its page, http://127.0.0.1:9400/metrics; empty: none is read"] = ""
    interval_s: Annotated[float, "seconds between reads"] = 15.0
    timeout_s: Annotated[float, "seconds a read may take"] = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`[[engine]]`: one serving engine; what is set here wins over what is discovered."""

    kind: Annotated[str, "vllm, sglang, tensorrt-llm, or auto: recognised by its page"] = "auto"
    url: Annotated[str, "its address, http://127.0.0.1:8000"] = ""
    token_file: Annotated[Path | None, "file with the bearer token of its page"] = None
    name: Annotated[str, "id of the instance; empty: host id and port"] = ""
    gpus: Annotated[tuple[str, ...], "indices or UUIDs of its GPUs"] = ()
    command: Annotated[
        str, "its command line; known flags are read, the rest never leaves the node", HIDDEN
    ] = ""
    model: Annotated[str, "model id"] = ""
    weights: Annotated[str, "precision of the weights"] = ""
    kv: Annotated[str, "precision of the KV cache"] = ""
    tensor_parallel: Annotated[int | None, "GPUs a layer is split over"] = None
    pipeline_parallel: Annotated[int | None, "stages of the pipeline"] = None
    data_parallel: Annotated[int | None, "data-parallel ranks"] = None
    expert_parallel: Annotated[int | None, "GPUs the experts are spread over"] = None
    max_sequences: Annotated[int | None, "most requests in a batch"] = None
    max_batched_tokens: Annotated[int | None, "most tokens in a step"] = None
    max_model_length: Annotated[int | None, "longest context in tokens"] = None
    memory_utilization: Annotated[float | None, "share of GPU memory it may take, 0..1"] = None
    role: Annotated[str, "prefill or decode; empty: both"] = ""
    group: Annotated[str, "id shared by engines that serve as one instance"] = ""
    interval_s: Annotated[float, "seconds between reads"] = 5.0
    timeout_s: Annotated[float, "seconds a read may take"] = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooling:
    """`[spool]`: the bounds of what waits on disk; the oldest goes first."""

    max_bytes: Annotated[int, "most bytes of batches"] = MAX_BYTES
    max_age_s: Annotated[float, "age in seconds after which a batch is dropped"] = MAX_AGE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """`[[destination]]`: an advisor, or anything else that takes OTLP over HTTP."""

    url: Annotated[str, "its address; /v1/metrics is added"] = "http://127.0.0.1:4318"
    name: Annotated[str, "what the spool calls it; keep it when the address changes"] = DESTINATION
    token_file: Annotated[
        Path | None, "file with the bearer token; else NAME_token or token among the credentials"
    ] = None
    ca_file: Annotated[Path | None, "certificates to trust instead of the system's"] = None
    client_certificate_file: Annotated[Path | None, "certificate to show (mTLS)"] = None
    client_key_file: Annotated[Path | None, "key of that certificate"] = None
    timeout_s: Annotated[float, "seconds an exchange may take"] = 10.0
    backlog_batches: Annotated[
        int, "old batches sent after each new one: the multiple of real time a backlog drains at"
    ] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The agent's whole configuration, checked."""

    agent: Agent = field(default_factory=Agent)
    gpu: Gpu = field(default_factory=Gpu)
    dcgm: Dcgm = field(default_factory=Dcgm)
    engine: tuple[Engine, ...] = ()
    spool: Spooling = field(default_factory=Spooling)
    destination: tuple[Destination, ...] = field(default_factory=lambda: (Destination(),))

    def __post_init__(self) -> None:
        window_s = self.agent.window_s
        _require(
            window_s >= 1 and 3600 % window_s == 0,
            f"agent.window_s = {window_s:g} does not divide an hour; use 60",
        )
        intervals = (
            self.gpu.interval_s,
            self.dcgm.interval_s,
            *(e.interval_s for e in self.engine),
        )
        _require(
            min(intervals) > 0,
            "interval_s of a source is not above 0; leave it out for its default",
        )
        _require_distinct("destination", [destination.name for destination in self.destination])
        _require_distinct("engine", [engine.name for engine in self.engine if engine.name])
        for destination in self.destination:
            _require_complete(destination)
        for engine in self.engine:
            _require_url("engine.url", engine.url)
        if self.dcgm.url:
            _require_url("dcgm.url", self.dcgm.url)


def _require_complete(destination: Destination) -> None:
    _require_url("destination.url", destination.url)
    _require(
        (destination.client_certificate_file is None) == (destination.client_key_file is None),
        f"destination {destination.name} has one of client_certificate_file and client_key_file; "
        "mTLS needs both",
    )
    _require(
        destination.backlog_batches > 0,
        f"destination {destination.name}: backlog_batches is not above 0; leave it out for 10",
    )


def _require_distinct(section: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    _require(not twice, f"two [[{section}]] are named {', '.join(twice)}; give each its own name")


def _require_url(key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        secret = parts.username is not None
    except ValueError:  # a port that is no number, an open bracket
        usable = secret = False
    _require(not secret, f"{key} carries a user name or password; keep secrets in files")
    _require(usable, f"{key} = {url!r} is no http:// or https:// address")


def _require(fact: bool, message: str) -> None:  # noqa: FBT001 - a condition, not an option
    if not fact:
        raise SettingsError(f"reading the settings: {message}")
