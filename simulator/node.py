"""One simulated node as a process: the real agent on simulated engines and GPUs.

The simulation is a function of seed and time, so after a kill in the backfill it is run forward to
the last window that was spooled and goes on from there. A kill while live is a reboot: engines and
driver start anew, and their counters with them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from agent.collector import Collector, EngineCollector, NvmlCollector
from agent.daemon import NodeAgent
from agent.engines import find_engine
from agent.errors import AgentError
from agent.fetch import HttpFetch
from agent.otlp import Resource
from agent.service import Group, Service
from agent.settings import Destination
from agent.ship import Shipper
from agent.spool import Spool
from simulator import fleet, http
from simulator.gpu import SimulatedGpus
from simulator.host import Host
from simulator.instance import Instance

COARSE_S, FINE_S = 900.0, 60.0
_SAMPLES = {COARSE_S: 1, FINE_S: 2}
"""Moments a backfilled window is sampled at, evenly, the last at its end."""
LIVE_GAP_S = 30.0
_BACKLOG_BATCHES = 64
_FOREVER_S = 10 * 365 * 86_400.0
_GPU_INTERVAL_S, _ENGINE_INTERVAL_S = 2.0, 5.0


@dataclass(frozen=True, slots=True)
class Boot:
    """When engines and driver started, from when on windows are fine, whether it is live."""

    start_s: float
    fine_s: float
    live: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What a node process is told: who it is and where its windows go."""

    fleet: str
    seed: str
    node: int
    state: Path
    destination: str
    token_file: Path | None
    start_s: float
    fine_s: float
    with_parent: bool = False


class SimulatedNode:
    """A node's host, spool and agent in one process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.node = fleet.build(job.fleet, job.seed).nodes[job.node]
        job.state.mkdir(parents=True, exist_ok=True)
        self._boot_file = job.state / "boot.json"
        self.boot = self._booted()
        self.host = Host(self.node, job.seed, self.boot.start_s)
        self.spool = Spool(job.state / "spool.db", max_age_s=_FOREVER_S)
        self.stop = threading.Event()
        host_id = self.node.host_id
        self._resource = Resource(host_id, host_id, self.spool.epoch, version("joulewise"))
        self._destination = Destination(
            url=job.destination,
            token_file=job.token_file,
            timeout_s=30.0,
            backlog_batches=_BACKLOG_BATCHES,
        )

    def backfill(self, report: Callable[[int, int], None]) -> None:
        """Produce every window since the last spooled one, while another thread sends them."""
        if self.boot.live:
            return
        done_s = self._last_end_s()
        self._replay(done_s)
        agent = NodeAgent(
            self._resource, self._collectors(), self.spool, max_gap_s=COARSE_S + FINE_S
        )
        agent.sample(self.host_now_s(done_s))
        shipped = threading.Event()
        sender = threading.Thread(target=self._send, args=(shipped,), daemon=True)
        sender.start()
        try:
            for start_s, end_s in self._windows(done_s):
                if self.stop.is_set():
                    return
                self._produce(agent, start_s, end_s)
                report(*self._progress(end_s))
        finally:
            shipped.set()
            sender.join()
        self._save(live=True)

    def live(self) -> None:
        """Serve pages over HTTP and let the agent read them by the clock, until told to stop."""
        self.host.advance(time.time())
        self.host.go_live()
        servers = http.serve(self.host, self.node)
        agent = NodeAgent(self._resource, (), self.spool, max_gap_s=LIVE_GAP_S)
        engines = tuple(
            _engine_collector(
                instance, self.host, HttpFetch(_metrics_url(servers, instance), timeout_s=4.0)
            )
            for instance in self.node.instances
        )
        gpus = SimulatedGpus(lambda: self.host.boards(time.time()), self.boot.start_s)
        groups = [
            Group("gpu", _GPU_INTERVAL_S, (NvmlCollector(gpus),)),
            Group("engines", _ENGINE_INTERVAL_S, engines),
        ]
        shipper = Shipper(self.spool, self._destination)
        Service(agent, groups, [shipper], window_s=FINE_S, stop=self.stop).run()

    def _booted(self) -> Boot:
        if self._boot_file.exists():
            boot = Boot(**json.loads(self._boot_file.read_text(encoding="utf-8")))
            if not boot.live:
                return boot
            return Boot(time.time(), boot.fine_s, live=True)
        boot = Boot(self.job.start_s, self.job.fine_s)
        _write(self._boot_file, boot)
        return boot

    def _save(self, *, live: bool) -> None:
        _write(self._boot_file, Boot(self.boot.start_s, self.boot.fine_s, live=live))

    def _last_end_s(self) -> float:
        state = self.spool.state()
        return float(state["builder"]["start_s"]) if state else self.boot.start_s

    def _replay(self, to_s: float) -> None:
        """Take the same steps as the process before us, without looking."""
        for start_s, end_s in self._windows(self.boot.start_s):
            if end_s > to_s:
                return
            for at_s in _moments(start_s, end_s):
                self.host.advance(at_s)

    def host_now_s(self, at_s: float) -> float:
        """Move the host to `at_s` and say so."""
        self.host.advance(at_s)
        return at_s

    def _windows(self, from_s: float) -> Iterator[tuple[float, float]]:
        """Windows from `from_s` to the present, which moves on meanwhile."""
        start_s = from_s
        while True:
            end_s = start_s + (COARSE_S if start_s < self.boot.fine_s else FINE_S)
            if end_s > time.time():
                return
            yield start_s, end_s
            start_s = end_s

    def _produce(self, agent: NodeAgent, start_s: float, end_s: float) -> None:
        for at_s in _moments(start_s, end_s):
            agent.sample(self.host_now_s(at_s))
        agent.close(end_s)

    def _progress(self, end_s: float) -> tuple[int, int]:
        """Seconds of simulated time behind us, and in all."""
        return round(end_s - self.boot.start_s), round(time.time() - self.boot.start_s)

    def _send(self, last: threading.Event) -> None:
        """Send what is spooled as fast as it is taken, until the last one is through."""
        shipper = Shipper(self.spool, self._destination)
        while not self.stop.is_set():
            finished = last.is_set()
            result = shipper.ship_once()
            if result.failure is not None:
                self.stop.wait(min(result.wait_s, 5.0))
            elif not result.acknowledged and finished:
                break
            elif result.acknowledged < _BACKLOG_BATCHES:
                last.wait(0.2)
        shipper.close()

    def _collectors(self) -> tuple[Collector, ...]:
        gpus = SimulatedGpus(self.host.boards, self.boot.start_s)
        engines = (_engine_collector(one, self.host) for one in self.node.instances)
        return (NvmlCollector(gpus), *engines)


def described(instance: Instance, host: Host) -> dict[str, str]:
    """What an `[[engine]]` entry and the command line say of an instance."""
    curve = instance.curve
    return {
        "joulewise.engine.version": instance.engine_version,
        "joulewise.model": curve.model,
        "joulewise.precision.weights": curve.weights,
        "joulewise.precision.kv": "bf16",
        "joulewise.parallel.tensor": str(curve.tensor_parallel),
        "joulewise.parallel.pipeline": "1",
        "joulewise.parallel.expert": str(curve.expert_parallel),
        "joulewise.max_sequences": str(instance.max_sequences),
        "joulewise.max_batched_tokens": str(instance.max_batched_tokens),
        "joulewise.max_model_length": str(instance.served.max_model_length),
        "joulewise.memory_utilization": str(instance.memory_utilization),
        "joulewise.features": ",".join(instance.features),
        "joulewise.role": "unified",
        "joulewise.gpu.ids": ",".join(host.uuids[index] for index in instance.gpu_indices),
    }


def _engine_collector(
    instance: Instance, host: Host, fetch: Callable[[], bytes] | None = None
) -> EngineCollector:
    table = find_engine(instance.curve.engine)
    if table is None:
        raise AgentError(f"the agent has no table for the engine {instance.curve.engine}")
    read = fetch or (lambda: host.page(instance.id))
    return EngineCollector(instance.id, table, read, described(instance, host))


def _metrics_url(servers: dict[str, http.EngineServer], instance: Instance) -> str:
    return servers[instance.id].url + http.METRICS_PATH[instance.curve.engine]


def _moments(start_s: float, end_s: float) -> tuple[float, ...]:
    samples = _SAMPLES[end_s - start_s]
    step_s = (end_s - start_s) / samples
    return tuple(start_s + step_s * (index + 1) for index in range(samples))


def _write(path: Path, boot: Boot) -> None:
    """Replace a file as a whole, so that a kill leaves the old or the new one."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(boot)), encoding="utf-8")
    new.replace(path)


def aligned(start_s: float) -> float:
    """The start of the coarse window that holds a Unix time."""
    return math.floor(start_s / COARSE_S) * COARSE_S


def _say(**fields: object) -> None:
    """One line of progress for the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _arguments() -> Job:
    parser = argparse.ArgumentParser(description="Run one simulated node with the real agent.")
    parser.add_argument("--fleet", required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--node", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--destination", required=True)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--start", type=float, required=True, dest="start_s")
    parser.add_argument("--fine", type=float, required=True, dest="fine_s")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent does")
    return Job(**vars(parser.parse_args()))


def _end_with_parent(stop: threading.Event) -> None:
    parent = os.getppid()
    while not stop.wait(1.0):
        if os.getppid() != parent:
            stop.set()


def main() -> None:
    """Backfill, then stay live until SIGTERM or SIGINT."""
    simulated = SimulatedNode(_arguments())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: simulated.stop.set())
    if simulated.job.with_parent:
        threading.Thread(target=_end_with_parent, args=(simulated.stop,), daemon=True).start()
    last_s = 0.0

    def report(done_s: int, of_s: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s > 0.2:
            last_s = time.monotonic()
            _say(event="backfill", done_s=done_s, of_s=of_s)

    simulated.backfill(report)
    if not simulated.stop.is_set():
        _say(event="live", **asdict(simulated.spool.counts()))
        simulated.live()
    simulated.spool.close()


if __name__ == "__main__":
    main()
