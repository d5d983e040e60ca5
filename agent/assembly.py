"""Settings become a running agent: who the node is, its sources, its spool and its shippers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from agent.daemon import NodeAgent
from agent.errors import DeliveryError, SettingsError
from agent.events import event, to_standard_error
from agent.otlp import Resource
from agent.service import Group, Service
from agent.settings import Agent, Settings
from agent.ship import Shipper
from agent.sources import groups
from agent.spool import Spool

_MACHINE_ID = Path("/etc/machine-id")
_SPOOL_FILE = "spool.db"


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of an agent that is ready to run."""

    agent: NodeAgent
    groups: tuple[Group, ...]
    spool: Spool
    shippers: tuple[Shipper, ...]


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        AgentError: it cannot start, or a part of it ended by itself.
    """
    to_standard_error()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # From a thread: the handler interrupts this one, which may hold the event's lock just then.
        signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
    with assembled(settings) as parts:
        event(
            logging.INFO,
            "started",
            sources=",".join(group.name for group in parts.groups),
            destinations=",".join(one.url for one in settings.destination),
            spooled=parts.spool.counts().spooled,
        )
        window_s = settings.agent.window_s
        Service(parts.agent, parts.groups, parts.shippers, window_s=window_s, stop=stop).run()
        event(logging.INFO, "stopped", spooled=parts.spool.counts().spooled)


def once(settings: Settings, seconds: float) -> str:
    """Close one window of that length and deliver it; return what was in it, in words.

    Raises:
        DeliveryError: a destination did not take it; it stays in the spool.
    """
    to_standard_error()
    with assembled(settings) as parts:
        collectors = tuple(one for group in parts.groups for one in group.collectors)
        end_s = time.time() + seconds
        parts.agent.begin(time.time())
        parts.agent.sample(time.time(), collectors)
        while (left_s := end_s - time.time()) > 0:
            time.sleep(min(1.0, left_s))
            parts.agent.sample(time.time(), collectors)
        sequence = parts.agent.close(time.time())
        results = [shipper.ship_once() for shipper in parts.shippers]
        if failures := [result.failure for result in results if result.failure]:
            raise DeliveryError("; ".join(failures))
        names = ", ".join(collector.name for collector in collectors)
        places = ", ".join(destination.url for destination in settings.destination)
        return f"batch {sequence} of epoch {parts.spool.epoch} delivered to {places}; read: {names}"


@contextmanager
def assembled(settings: Settings) -> Iterator[Assembly]:
    """The parts, open; the spool is locked until the end.

    Raises:
        SettingsError: the node has no id, or a certificate cannot be used.
        SpoolError: the spool cannot be opened.
    """
    host_id, host_name = identity(settings.agent)
    spool = Spool(
        settings.agent.state_directory / _SPOOL_FILE,
        destinations=[destination.name for destination in settings.destination],
        max_bytes=settings.spool.max_bytes,
        max_age_s=settings.spool.max_age_s,
    )
    shippers: list[Shipper] = []
    try:
        shippers += (Shipper(spool, destination) for destination in settings.destination)
        resource = Resource(host_id, host_name, spool.epoch, version("joulewise"))
        agent = NodeAgent(
            resource,
            (),
            spool,
            max_gap_s=settings.agent.max_gap_s,
            node_info={"joulewise.node.kernel": os.uname().release},
        )
        sources = groups(settings, host_id=host_id, agent_id=spool.epoch)
        yield Assembly(agent, sources, spool, tuple(shippers))
    finally:
        for shipper in shippers:
            shipper.close()
        spool.close()


def identity(agent: Agent, machine_id: Path = _MACHINE_ID) -> tuple[str, str]:
    """The node's id and name.

    Raises:
        SettingsError: none is set and the machine has none.
    """
    host_id = agent.host_id
    if not host_id:
        try:
            host_id = machine_id.read_text(encoding="ascii").strip()
        except OSError as error:
            raise SettingsError(
                f"finding the node's id: {machine_id}: {error.strerror}; set agent.host_id"
            ) from error
    if not host_id or host_id == "uninitialized":
        raise SettingsError(f"finding the node's id: {machine_id} is empty; set agent.host_id")
    return host_id, agent.host_name or socket.gethostname()
