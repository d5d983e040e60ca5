"""Instances as sources: an engine is looked for until it answers, and again after it was away."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from agent.collector import EngineCollector
from agent.discover import GPU_IDS, Discovered, Surroundings, discover, instance_id
from agent.errors import NoData
from agent.fetch import HttpFetch
from agent.nvml_watch import WatchedGpus
from agent.processes import Processes
from agent.settings import Engine
from agent.window import Observation

LOOK_AGAIN_S = 300.0
"""When an instance is looked at again whose GPUs could not be told, as while the driver hung."""


class InstanceCollector:
    """One configured engine; what it is, is found out first and after each silence or restart."""

    def __init__(
        self,
        engine: Engine,
        host_id: str,
        look_around: Callable[[], Surroundings],
    ) -> None:
        self.name = f"{engine.kind}:{instance_id(engine, host_id)}"
        self._engine = engine
        self._host_id = host_id
        self._look_around = look_around
        self._collector: EngineCollector | None = None
        self._look_again_s = math.inf
        self._started_s: float | None = None

    def collect(self, at_s: float) -> Sequence[Observation]:
        """The instance as its page shows it now.

        Raises:
            NoData: nobody answers, or the page is of another program.
        """
        if self._collector is None or at_s >= self._look_again_s:
            self._collector = self._discovered(at_s)
        try:
            observations = self._collector.collect(at_s)
        except NoData:
            self._collector = None
            raise
        for observation in observations:
            self._notice(observation)
        return observations

    def _discovered(self, at_s: float) -> EngineCollector:
        found = discover(self._engine, self._host_id, self._look_around, self._get)
        is_complete = GPU_IDS in found.described()
        self._look_again_s = math.inf if is_complete else at_s + LOOK_AGAIN_S
        self._started_s = None
        return self._collector_of(found)

    def _notice(self, observation: Observation) -> None:
        """Look again after a restart that was too quick to be met as silence."""
        started_s = observation.origin_s
        if self._started_s is not None and started_s != self._started_s:
            self._look_again_s = observation.at_s
        self._started_s = started_s

    def _collector_of(self, found: Discovered) -> EngineCollector:
        fetch = self._fetch(found.metrics_url)
        return EngineCollector(found.instance_id, found.table, fetch, found.info, found.fallback)

    def _get(self, url: str) -> bytes:
        with self._fetch(url) as fetch:
            return fetch()

    def _fetch(self, url: str) -> HttpFetch:
        engine = self._engine
        return HttpFetch(url, timeout_s=engine.timeout_s, token_file=engine.token_file)


def look_around(*, nvml: bool = True) -> Surroundings:
    """The GPUs and processes of this node; where there is no driver, the processes alone.

    It asks in a process of its own, so that whoever reads GPUs meanwhile is not disturbed.
    """
    processes = Processes()
    if not nvml:
        return Surroundings(processes=processes)
    source = WatchedGpus()
    try:
        gpus = {
            gpu.uuid: dict(reading.attributes)
            for gpu in source.read()
            for reading in gpu.readings
            if reading.signal == "joulewise.gpu.info"
        }
        return Surroundings(gpus, source.computing(), processes)
    except NoData:
        return Surroundings(processes=processes)
    finally:
        source.close()
