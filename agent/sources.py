"""The sources that settings name, grouped so that a slow one delays only itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from agent.collector import DcgmCollector, NvmlCollector
from agent.fetch import HttpFetch
from agent.instances import InstanceCollector, look_around
from agent.nvml_watch import WatchedGpus
from agent.process import ProcessCollector
from agent.service import Group
from agent.settings import Settings

OWN_INTERVAL_S = 15.0
"""The agent looks at its own use of CPU and memory this often."""


def groups(settings: Settings, *, host_id: str, agent_id: str) -> tuple[Group, ...]:
    """What to read, and how often. Nothing is opened yet."""
    return tuple(_groups(settings, host_id, agent_id))


def _groups(settings: Settings, host_id: str, agent_id: str) -> Iterator[Group]:
    gpu, dcgm = settings.gpu, settings.dcgm
    if gpu.nvml:
        yield Group("nvml", gpu.interval_s, (NvmlCollector(WatchedGpus()),))
    if dcgm.url:
        fetch = HttpFetch(dcgm.url, timeout_s=dcgm.timeout_s)
        yield Group("dcgm", dcgm.interval_s, (DcgmCollector(fetch),))
    look = partial(look_around, nvml=gpu.nvml)
    for engine in settings.engine:
        instance = InstanceCollector(engine, host_id, look)
        yield Group(instance.name, engine.interval_s, (instance,))
    yield Group("agent", OWN_INTERVAL_S, (ProcessCollector(agent_id),))
