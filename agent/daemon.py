"""A node's sources sampled, its windows closed into batches, its own account among them.

`NodeAgent` is told the time: `service` drives it by the clock, the simulator by its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.collector import Collector, collect_all
from agent.errors import NoData
from agent.events import event
from agent.otlp import Resource, encode
from agent.spool import Spool
from agent.vocabulary import attributes
from agent.window import Observation, Point, Subject, Window, WindowBuilder

SOURCE = "agent"
"""The source name of what the agent says about itself and its node."""


class NodeAgent:
    """Collectors, a window builder and a spool; any thread may call it.

    Integrals, load counters and their origins come back from the spool after a restart.
    """

    def __init__(
        self,
        resource: Resource,
        collectors: Sequence[Collector],
        spool: Spool,
        *,
        max_gap_s: float,
        node_info: Mapping[str, str] | None = None,
    ) -> None:
        self._resource = resource
        self._collectors = tuple(collectors)
        self._spool = spool
        self._max_gap_s = max_gap_s
        named = {"host.id": resource.host_id, "host.name": resource.host_name}
        self._node_info = attributes({**named, **(node_info or {})})
        self._mutex = threading.Lock()
        self._silent: set[str] = set()
        self._builder, self._origin_s = self._restored()

    def begin(self, at_s: float) -> None:
        """Open the window here: after a start, or when the clock was set."""
        with self._mutex:
            self._opened(at_s).start_s = at_s

    def sample(self, at_s: float, collectors: Sequence[Collector] | None = None) -> None:
        """Read these sources, or all, into the open window."""
        observations = collect_all(
            self._collectors if collectors is None else collectors,
            at_s,
            agent_id=self._resource.epoch,
            on_result=self._heard,
        )
        with self._mutex:
            builder = self._opened(at_s)
            for observation in observations:
                builder.add(_not_before(builder.start_s, observation))

    def close(self, end_s: float) -> int:
        """Spool the window as one batch and open the next; return the batch's sequence number.

        Raises:
            SpoolError: it could not be stored; integrals and counters run on all the same.
        """
        with self._mutex:
            builder = self._opened(end_s)
            start_s = builder.start_s
            windows = (*builder.close(end_s), *self._own_windows(start_s, end_s))
            state = {"origin_s": self._origin_s, "builder": builder.snapshot()}
        return self._spool.append(
            lambda sequence: encode(self._resource, sequence, windows), end_s=end_s, state=state
        )

    def _opened(self, at_s: float) -> WindowBuilder:
        if self._builder is None:
            self._builder = WindowBuilder(at_s, max_gap_s=self._max_gap_s)
        if self._origin_s is None:
            self._origin_s = self._builder.start_s
        return self._builder

    def _restored(self) -> tuple[WindowBuilder | None, float | None]:
        state: Mapping[str, Any] | None = self._spool.state()
        if state is None:
            return None, None
        try:
            builder = WindowBuilder.restore(state["builder"], max_gap_s=self._max_gap_s)
        except ValueError as error:
            event(logging.WARNING, "state of another version", cause=error)
            return None, state["origin_s"]
        return builder, state["origin_s"]

    def _own_windows(self, start_s: float, end_s: float) -> Iterator[Window]:
        agent = Subject("agent", self._resource.epoch)
        yield Window(agent, SOURCE, start_s, end_s, tuple(self._account(end_s)))
        node = Subject("node", self._resource.host_id)
        info = Point("joulewise.node.info", self._node_info, 1.0)
        yield Window(node, SOURCE, start_s, end_s, (info,))

    def _account(self, end_s: float) -> Iterator[Point]:
        """Every batch before this one, by what became of it."""
        counts, backlog = self._spool.counts(), self._spool.backlog()
        by_state = [("produced", counts.produced), ("acknowledged", counts.acknowledged)]
        for state, batches in by_state:
            yield self._batches({"joulewise.state": state}, batches)
        for reason, batches in counts.dropped.items():
            yield self._batches({"joulewise.state": "dropped", "joulewise.reason": reason}, batches)
        yield Point("joulewise.agent.spool.size", (), float(backlog.size_bytes))
        if backlog.oldest_end_s is not None:
            age_s = max(0.0, end_s - backlog.oldest_end_s)
            yield Point("joulewise.agent.spool.age", (), age_s)

    def _batches(self, named: dict[str, str], batches: int) -> Point:
        return Point("joulewise.agent.batches", attributes(named), float(batches), self._origin_s)

    def _heard(self, source: str, raised: Exception | None) -> None:
        """One event when a source falls silent, one when it is back."""
        if raised is None:
            if source in self._silent:
                self._silent.discard(source)
                event(logging.INFO, "source is back", source=source)
        elif source not in self._silent:
            self._silent.add(source)
            cause = raised if isinstance(raised, NoData) else repr(raised)
            event(logging.WARNING, "source gives nothing", source=source, cause=cause)


def _not_before(start_s: float, observation: Observation) -> Observation:
    """An answer that came after its window was closed belongs to the open one."""
    if observation.at_s >= start_s:
        return observation
    return Observation(
        observation.subject, observation.source, start_s, observation.readings, observation.origin_s
    )
