"""Instances as sources: an engine is looked for until it answers, and again after it was away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.collector import EngineCollector
from agent.discover import Discovered, Surroundings, discover, instance_id
from agent.errors import NoData
from agent.fetch import HttpFetch
from agent.nvml import NvmlGpus
from agent.processes import Processes
from agent.settings import Engine
from agent.window import Observation


class InstanceCollector:
    """One configured engine; what it is, is found out at first and again after each silence."""

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

    def collect(self, at_s: float) -> Sequence[Observation]:
        """The instance as its page shows it now.

        Raises:
            NoData: nobody answers, or the page is of another program.
        """
        if self._collector is None:
            found = discover(self._engine, self._host_id, self._look_around(), self._get)
            self._collector = self._collector_of(found)
        try:
            return self._collector.collect(at_s)
        except NoData:
            self._collector = None
            raise

    def _collector_of(self, found: Discovered) -> EngineCollector:
        fetch = self._fetch(found.metrics_url)
        return EngineCollector(found.instance_id, found.table, fetch, found.info, found.fallback)

    def _get(self, url: str) -> bytes:
        return self._fetch(url)()

    def _fetch(self, url: str) -> HttpFetch:
        engine = self._engine
        return HttpFetch(url, timeout_s=engine.timeout_s, token_file=engine.token_file)


def look_around(*, nvml: bool = True) -> Surroundings:
    """The GPUs and processes of this node; where there is no driver, the processes alone.

    It opens a session of its own, so that a thread that reads GPUs is not disturbed.
    """
    processes = Processes()
    if not nvml:
        return Surroundings(processes=processes)
    source = NvmlGpus()
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
