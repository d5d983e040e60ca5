"""A page, or the GPUs of this node, as readings of one moment: behind `joulewise-agent read`."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.dcgm import NAMES, read_dcgm
from agent.engine import EngineTable, json_page, page_info, read_engine
from agent.engines import ALIASES, ENGINES
from agent.errors import NoData, PageError, UnsupportedProgramError
from agent.page import Page, PageReader
from agent.vocabulary import SIGNALS, Histogram, Reading, attributes

DCGM, NVML, AUTO, JSON_ENGINE = "dcgm", "nvml", "auto", "tensorrt-llm"
SOURCES = (AUTO, DCGM, NVML, *ENGINES)
"""What `read` takes as a source; engines have aliases besides."""

TIMEOUT_S = 10.0
"""An API server under load answers its metrics page late."""

PROGRAMS = {
    "tgi_": "Text Generation Inference",
    "lmdeploy:": "LMDeploy",
    "llamacpp:": "llama.cpp",
    "nv_inference_": "Triton Inference Server",
    "nv_trt_llm_": "Triton Inference Server",
    "dynamo_": "NVIDIA Dynamo",
    "node_": "the Prometheus node exporter",
    "nvidia_smi_": "nvidia_gpu_exporter",
    "all_smi_": "all-smi",
    "kepler_": "Kepler",
    "habanalabs_": "the Habana Labs metric exporter",
}
"""Programs whose pages are known by the prefix of their names, and not read yet."""
NIM = "NVIDIA NIM for LLMs"
NIM_NAMES = frozenset(
    {"num_requests_running", "num_request_max", "gpu_cache_usage_perc", "request_finish_total"}
)
"""NIM 1.x has vLLM's names without a prefix, as TensorRT-LLM 1.0 has some; these only NIM has."""

BARE_NAMES = ("e2e_request_latency_seconds_", "time_to_first_token_seconds_")
"""By these TensorRT-LLM 1.0 and 1.1, which have no prefix, are known."""

_NAME = re.compile(rb"^[ \t]*([A-Za-z_:][A-Za-z0-9_:]*)(?=[ \t]*\{|[ \t]+[-+.\dIN])", re.MULTILINE)
_NOTHING = re.compile(rb"\s*\[\s*\]\s*")


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What was read: the readings, how many samples could not be taken, and whose page it was."""

    readings: tuple[Reading, ...]
    skipped: int
    program: str


def read(source: str, target: str | None = None) -> ReadResult:
    """The readings of a file or URL (`-` is standard input), or, for `nvml`, of this node's GPUs.

    Raises:
        NoData: there is no such file, nobody answers, or no GPU can be read.
        PageError: the page is empty, of another source than was said, or of no program known.
    """
    name = ALIASES.get(source.lower(), source.lower())
    if name not in SOURCES:
        raise PageError(f"reading {source!r}: no such source; give one of {', '.join(SOURCES)}")
    if name == NVML:
        return _read_nvml()
    if not target:
        raise PageError(f"reading {name}: a page is needed; give a file, a URL, or - for the input")
    return read_page(name, _fetch(target), target)


def read_page(source: str, text: bytes, target: str = "the page") -> ReadResult:
    """The readings of a page at hand; `target` is what messages call it.

    Raises:
        PageError: see `read`.
    """
    if not text.strip():
        raise PageError(
            f"reading {target}: the page is empty; dcgm-exporter answers so for seconds while it "
            "reloads and an engine whose metrics are switched off does; try again, then its flags"
        )
    if text.lstrip()[:1] in (b"[", b"{"):
        return _read_json(source, text, target)
    program = _identify(source, text, target)
    if program == DCGM:
        page = PageReader(NAMES).read(text)
        return ReadResult(tuple(read_dcgm(page)), page.skipped, DCGM)
    table = ENGINES[program]
    return _result(table, PageReader(table.names).read(text))


def to_json(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    """Readings as JSON values, in the order read."""
    return [
        {
            "signal": reading.signal,
            "unit": SIGNALS[reading.signal].unit,
            "kind": SIGNALS[reading.signal].kind,
            "attributes": dict(reading.attributes),
            "value": _json_value(reading.value),
        }
        for reading in readings
    ]


def to_table(readings: Sequence[Reading]) -> str:
    """Readings as lines for a person: signal, value with unit, attributes."""
    rows = [
        (r.signal, _told(r), " ".join(f"{name}={value}" for name, value in r.attributes))
        for r in readings
    ]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(2)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c}".rstrip() for a, b, c in rows)


def _fetch(target: str) -> bytes:
    if target == "-":
        return sys.stdin.buffer.read()
    if target.startswith(("http://", "https://")):
        from agent.fetch import HttpFetch

        return HttpFetch(target, timeout_s=TIMEOUT_S)()
    try:
        return Path(target).read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise NoData(f"reading {target}: {cause}; give a file or an http(s) URL") from error


def _read_nvml() -> ReadResult:
    from agent.nvml import NvmlGpus

    readings = tuple(
        Reading(
            reading.signal,
            attributes({"hw.id": gpu.uuid, **dict(reading.attributes)}),
            reading.value,
        )
        for gpu in NvmlGpus().read()
        for reading in gpu.readings
    )
    return ReadResult(readings, 0, NVML)


def _read_json(source: str, text: bytes, target: str) -> ReadResult:
    table = ENGINES[JSON_ENGINE]
    if source not in (AUTO, JSON_ENGINE):
        raise PageError(
            f"reading {target} as {source}: this is JSON; {source} answers in Prometheus text, "
            f"usually at /metrics; {table.title}'s statistics are read with --source {JSON_ENGINE}"
        )
    try:
        page = json_page(text)
    except ValueError as error:
        raise PageError(
            f"reading {target} as {table.title}'s JSON: {error}; read it again, or its "
            "/prometheus/metrics"
        ) from error
    if not any(series.key in table.names for series in page) and not _NOTHING.fullmatch(text):
        raise PageError(
            f"reading {target}: JSON with no statistics of {table.title} in it; engines' metrics "
            "are at /metrics or /prometheus/metrics"
        )
    return _result(table, page)


def _result(table: EngineTable, page: Page) -> ReadResult:
    readings = read_engine(table, page)
    if info := page_info(table, page):
        readings.append(Reading("joulewise.instance.info", attributes(info), 1.0))
    return ReadResult(tuple(readings), page.skipped, table.name)


def _identify(source: str, text: bytes, target: str) -> str:
    """Whose page it is, where that is what was said; an error that names it otherwise."""
    names = [name.decode("ascii") for name in _NAME.findall(text)]
    found = _program(names)
    if found in (*ENGINES, DCGM) and source in (AUTO, found):
        return found
    if found is None:
        seen = ", ".join(sorted(set(names))[:3]) or "no sample at all"
        raise PageError(
            f"reading {target}: not a page of a program known here ({seen}); is this the address "
            "of its metrics, with metrics switched on?"
        )
    if found not in (*ENGINES, DCGM):
        raise UnsupportedProgramError(
            f"reading {target}: this is a page of {found}, which is not read yet; "
            f"read are {', '.join(SOURCES[1:])}"
        )
    raise PageError(
        f"reading {target} as {source}: this is a page of {found}; give --source {found}"
    )


def _program(names: Sequence[str]) -> str | None:
    """The program that most of the known names belong to; one that is read goes before others."""
    ours = Counter(program for name in names if (program := _owner(name)))
    if ours:
        return ours.most_common(1)[0][0]
    others = Counter(
        title for name in names for prefix, title in PROGRAMS.items() if name.startswith(prefix)
    )
    if NIM_NAMES & set(names):
        return NIM
    if others:
        return others.most_common(1)[0][0]
    return JSON_ENGINE if any(name.startswith(BARE_NAMES) for name in names) else None


def _owner(name: str) -> str | None:
    if name.startswith(("DCGM_", "dcgm_")):
        return DCGM
    prefixes = (
        (table, prefix) for table in ENGINES.values() for prefix in table.prefixes if prefix
    )
    return next((table.name for table, prefix in prefixes if name.startswith(prefix)), None)


def _json_value(value: float | Histogram) -> float | dict[str, Any]:
    if not isinstance(value, Histogram):
        return value
    buckets = [["+Inf" if math.isinf(bound) else bound, count] for bound, count in value.buckets]
    return {"buckets": buckets, "sum": value.sum, "count": value.count}


def _told(reading: Reading) -> str:
    value, unit = reading.value, SIGNALS[reading.signal].unit
    if isinstance(value, Histogram):
        mean = f", mean {value.sum / value.count:.4g} {unit}" if value.count else ""
        return f"{value.count:.0f} observed{mean}"
    digits = 0 if value == int(value) or abs(value) >= 1e6 else 4
    return f"{value:,.{digits}f} {unit}" if abs(value) < 1e15 else f"{value:.4g} {unit}"
