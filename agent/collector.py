"""Collectors, one a source, and the loop body that isolates one source from another."""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from agent.dcgm import NAMES, read_dcgm
from agent.engine import EngineTable, page_info, read_engine
from agent.errors import NoData
from agent.identity import CONFIGURED, ENGINE, MODEL, Finding, describe
from agent.nvml import GpuSource
from agent.page import Page, PageReader
from agent.vocabulary import Attributes, Reading, attributes
from agent.window import INFO, Observation, Subject

__all__ = [
    "Collector",
    "DcgmCollector",
    "EngineCollector",
    "Fetch",
    "NoData",
    "NvmlCollector",
    "collect_all",
]

Fetch = Callable[[], bytes]
"""Gets a page; raises NoData when there is none to get."""

NVLINK = "joulewise.nvlink.link"
MIG_SLICE = "joulewise.mig.slice"
_PROCESS_START = re.compile(
    rb"^process_start_time_seconds(?:\{[^\n}]*\})? ([0-9.eE+]+)\s*$", re.MULTILINE
)


class Collector(Protocol):
    """One source of observations."""

    name: str

    def collect(self, at_s: float) -> Sequence[Observation]:
        """What the source says now, stamped with the Unix time given.

        Raises:
            NoData: there is nothing to read; the message says why.
        """
        ...


def collect_all(
    collectors: Iterable[Collector],
    at_s: float,
    *,
    agent_id: str = "",
    on_result: Callable[[str, Exception | None], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Observation]:
    """Observations of every source that has any, and last how reading each of them went.

    `on_result` hears of each source by name, with what it raised or None.
    """
    observations: list[Observation] = []
    outcome: list[Reading] = []
    for collector in collectors:
        started_s, raised = clock(), None
        try:
            observations.extend(collector.collect(at_s))
        except Exception as error:  # noqa: BLE001 - one source's failure never stops another
            raised = error
        source = (("joulewise.source", collector.name),)
        outcome += (
            Reading("joulewise.agent.source.success", source, float(raised is None)),
            Reading("joulewise.agent.source.duration", source, clock() - started_s),
        )
        if on_result is not None:
            on_result(collector.name, raised)
    observations.append(Observation(Subject("agent", agent_id), "agent", at_s, tuple(outcome)))
    return observations


class NvmlCollector:
    """The GPUs of this node through NVML, or through whatever stands in for it."""

    name = "nvml"

    def __init__(self, source: GpuSource) -> None:
        self._source = source

    def collect(self, at_s: float) -> Sequence[Observation]:
        """One observation a GPU."""
        return [
            Observation(Subject("gpu", gpu.uuid), self.name, at_s, gpu.readings, gpu.origin_s)
            for gpu in self._source.read()
        ]


class DcgmCollector:
    """The GPUs of a dcgm-exporter page.

    Slices of a GPU repeat the board's values and are left out; links are added to their GPU.
    """

    name = "dcgm"

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._reader = PageReader(NAMES)

    def collect(self, at_s: float) -> Sequence[Observation]:
        """One observation a GPU.

        Raises:
            NoData: the page has no GPU; dcgm-exporter serves an empty one while it reloads.
        """
        by_gpu: defaultdict[str, list[Reading]] = defaultdict(list)
        for reading in read_dcgm(self._reader.read(self._fetch())):
            named = dict(reading.attributes)
            if MIG_SLICE not in named and (uuid := named.get("hw.id")):
                by_gpu[uuid].append(reading)
        if not by_gpu:
            raise NoData("reading dcgm-exporter: no GPU on its page; it may be reloading")
        return [
            Observation(Subject("gpu", uuid), self.name, at_s, tuple(add_links(readings)))
            for uuid, readings in by_gpu.items()
        ]


def add_links(readings: Sequence[Reading]) -> Iterable[Reading]:
    """Readings of single links as one of the whole GPU, unless the source gives that itself."""
    links: defaultdict[tuple[str, Attributes], float] = defaultdict(float)
    whole = set()
    for reading in readings:
        if any(name == NVLINK for name, _ in reading.attributes):
            own = tuple(pair for pair in reading.attributes if pair[0] != NVLINK)
            if not isinstance(reading.value, float | int):
                continue
            links[reading.signal, own] += reading.value
        else:
            whole.add((reading.signal, reading.attributes))
            yield reading
    for (signal, own), total in links.items():
        if (signal, own) not in whole:
            yield Reading(signal, own, total)


class EngineCollector:
    """One serving engine's page as observations of its instance.

    `info` holds attributes of `joulewise.instance.info` that are known beforehand; what the page
    says of itself fills in what is missing, and stays known when a later page does not say it; the
    findings of `fallback` come last.
    """

    def __init__(
        self,
        instance_id: str,
        table: EngineTable,
        fetch: Fetch,
        info: Mapping[str, str] | None = None,
        fallback: Sequence[Finding] = (),
    ) -> None:
        self.name = f"{table.name}:{instance_id}"
        self.instance_id = instance_id
        self.table = table
        self._fetch = fetch
        self._reader = PageReader(table.names)
        self._info = dict(info or {})
        self._fallback = tuple(fallback)
        self._said: dict[str, str] = {}
        self._description: Attributes = ()

    def collect(self, at_s: float) -> Sequence[Observation]:
        """The instance as its page shows it now.

        Raises:
            NoData: nobody answers, or the page is of another program.
        """
        text = self._fetch()
        page = self._reader.read(text)
        readings = read_engine(self.table, page)
        if not readings:
            raise NoData(
                f"reading {self.table.title} for {self.instance_id}: nothing of it on the page; "
                "`joulewise-agent check` says what answers there and how to switch metrics on"
            )
        readings.append(Reading(INFO, self._describe(page), 1.0))
        subject = Subject("instance", self.instance_id)
        return [Observation(subject, self.table.name, at_s, tuple(readings), process_start_s(text))]

    def _describe(self, page: Page) -> Attributes:
        said = {**self._said, **page_info(self.table, page)}
        if said != self._said or not self._description:
            self._said = said
            self._description = attributes(describe(*self._findings()))
        return self._description

    def _findings(self) -> Iterable[Finding]:
        """The page's name of the model may be an alias: only what is not said elsewhere."""
        configuration = {name: text for name, text in self._said.items() if name != MODEL}
        yield CONFIGURED, self._info
        yield ENGINE, {**configuration, "joulewise.engine.name": self.table.name}
        yield from self._fallback
        yield ENGINE, self._said


def process_start_s(page: bytes) -> float | None:
    """The Unix time that the page's process started at, where it says so."""
    found = _PROCESS_START.search(page)
    try:
        start_s = float(found[1]) if found else 0.0
    except ValueError:
        return None
    return start_s if 0.0 < start_s < math.inf else None
