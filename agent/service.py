"""The agent driven by the clock: a thread a source group, one a destination, aligned windows."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.clock import Clock
from agent.collector import Collector
from agent.daemon import NodeAgent
from agent.errors import AgentError, SpoolError
from agent.events import event
from agent.notify import notify
from agent.ship import Shipper

STEP_S = 1.0
"""From this many seconds on, the clock was set; below, it was kept in time."""
WATCHDOG_S = 20.0
"""Longest time between two signs of life to systemd; the unit allows three times as much."""
SPREAD = 1 / 12
"""Share of a window over which the nodes of a fleet spread their sending: 5 s of a minute."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sources that are read together, by one thread: slow ones delay only themselves."""

    name: str
    interval_s: float
    collectors: tuple[Collector, ...]


class Service:
    """Runs until `stop` is set; then the open window is closed into the spool."""

    def __init__(
        self,
        agent: NodeAgent,
        groups: Sequence[Group],
        shippers: Sequence[Shipper],
        *,
        window_s: float,
        stop: threading.Event,
        clock: Clock | None = None,
    ) -> None:
        self._agent = agent
        self._window_s = window_s
        self._stop = stop
        self._clock = clock or Clock()
        self._closed = [threading.Event() for _ in shippers]
        self._unspooled = False
        self._threads = [
            *(self._thread(group.name, self._sample, group) for group in groups),
            *(
                self._thread(f"ship-{index}", self._ship, shipper, closed)
                for index, (shipper, closed) in enumerate(zip(shippers, self._closed, strict=True))
            ),
        ]

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            AgentError: a part of it ended by itself; the process has to be started again.
        """
        self._agent.begin(self._clock.now_s())
        for thread in self._threads:
            thread.start()
        notify("READY=1")
        try:
            while not self._stop.is_set():
                self._window()
        finally:
            notify("STOPPING=1")
            self._end()

    def _window(self) -> None:
        end_s = self._clock.next_boundary_s(self._window_s)
        while (left_s := end_s - self._clock.now_s()) > 0:
            self._show_life()
            if self._stop.wait(min(left_s, WATCHDOG_S)):
                return
        self._close(end_s)
        moved_s = self._clock.settle()
        if abs(moved_s) >= STEP_S:
            event(logging.WARNING, "the clock was set", moved_s=moved_s)
            self._agent.begin(self._clock.now_s())

    def _close(self, end_s: float) -> None:
        try:
            self._agent.close(end_s)
        except SpoolError as error:
            if not self._unspooled:
                event(logging.ERROR, "window not stored", cause=error)
            self._unspooled = True
        else:
            if self._unspooled:
                event(logging.INFO, "windows are stored again")
            self._unspooled = False
        for closed in self._closed:
            closed.set()

    def _end(self) -> None:
        self._stop.set()
        for closed in self._closed:
            closed.set()
        for thread in self._threads:
            thread.join(WATCHDOG_S)
        self._close(self._clock.now_s())

    def _show_life(self) -> None:
        for thread in self._threads:
            if not thread.is_alive():
                raise AgentError(
                    f"running the agent: its thread {thread.name} ended, the reason is above; "
                    "start it again, and report it if it comes back"
                )
        notify("WATCHDOG=1")

    def _sample(self, group: Group) -> None:
        """On the beat; one that was missed is skipped, not made up for."""
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            self._agent.sample(self._clock.now_s(), group.collectors)
            due_s = max(due_s + group.interval_s, time.monotonic())

    def _ship(self, shipper: Shipper, closed: threading.Event) -> None:
        """After each window, somewhat later on each node; after a failure when it is time again."""
        while not self._stop.is_set():
            result = shipper.ship_once()
            if result.failure is not None:
                self._stop.wait(result.wait_s)
            else:
                closed.wait()
                closed.clear()
                self._stop.wait(random.uniform(0.0, self._window_s * SPREAD))

    def _thread(self, name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
        return threading.Thread(target=work, args=arguments, name=name, daemon=True)
