"""A simulated node in time: its instances, their pages and its GPUs at the moment it stands at."""

from __future__ import annotations

import threading

from simulator import dcgm
from simulator.board import Board, boards, gpu_uuid
from simulator.engine import Engine
from simulator.fleet import GPUS_A_NODE, Node
from simulator.instance import Instance
from simulator.pages import Page
from simulator.queueing import Backfill, solve


class Host:
    """One node whose engines and driver started at Unix time `start_s`; any thread may use it.

    It moves a window a step until `go_live`, and from event to event after it.
    """

    def __init__(self, node: Node, seed: str, start_s: float) -> None:
        self.node = node
        self.start_s = start_s
        self._seed = seed
        self._mutex = threading.Lock()
        self.uuids = tuple(gpu_uuid(seed, node.host_id, index) for index in range(GPUS_A_NODE))
        self._pages = {instance.id: Page(instance, start_s) for instance in node.instances}
        self._running: dict[str, Backfill | Engine] = {
            instance.id: Backfill(instance, start_s, seed) for instance in node.instances
        }

    def advance(self, to_s: float) -> None:
        """Move every instance to Unix time `to_s`; an earlier time changes nothing."""
        with self._mutex:
            self._advance(to_s)

    def go_live(self) -> None:
        """From here on requests come, run and go one by one."""
        with self._mutex:
            for instance in self.node.instances:
                before = self._running[instance.id]
                self._running[instance.id] = _live(instance, before, self._seed)

    def page(self, instance_id: str, at_s: float | None = None) -> bytes:
        """The metrics page of one instance, now or at `at_s`."""
        with self._mutex:
            if at_s is not None:
                self._advance(at_s)
            simulated = self._running[instance_id]
            page = self._pages[instance_id]
            return page.render(simulated.tally, simulated.levels(), simulated.now_s)

    def boards(self, at_s: float | None = None) -> tuple[Board, ...]:
        """Every GPU of the node, now or at `at_s`."""
        with self._mutex:
            if at_s is not None:
                self._advance(at_s)
            return tuple(
                board
                for simulated in self._running.values()
                for board in boards(
                    simulated.instance, simulated.tally, simulated.levels(), self.uuids
                )
            )

    def dcgm_page(self, at_s: float | None = None) -> bytes:
        """What dcgm-exporter would show of this node."""
        return dcgm.render(self.boards(at_s), self.node.host_id)

    def _advance(self, to_s: float) -> None:
        for simulated in self._running.values():
            simulated.advance(to_s)


def _live(instance: Instance, before: Backfill | Engine, seed: str) -> Engine:
    """An event-driven engine that goes on counting, begun with a mean load."""
    state = solve(instance, instance.demand.at(before.now_s))
    engine = Engine(instance, before.now_s, seed, tally=before.tally)
    engine.fill(round(state.running_mean), round(state.waiting_mean))
    return engine
