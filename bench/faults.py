"""Kills a real advisor and real agents in the middle of a backfill and counts what arrived.

After every round of kills the processes are started again on the same folders; in the end each
agent must account for all it produced, and the store must hold every batch exactly once.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb
import httpx

from agent.spool import Spool
from simulator.children import free_port
from simulator.node import aligned

READY_S = 60.0
PATIENCE_S = 600.0


@dataclass
class Stage:
    """One advisor and some nodes of a fleet, on folders that outlive their processes."""

    folder: Path
    nodes: int
    days: float
    seed: str
    start_s: float = 0.0
    port: int = field(default_factory=free_port)
    otlp_port: int = field(default_factory=free_port)
    advisor: subprocess.Popen[bytes] | None = None
    agents: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start_s = aligned(time.time() - self.days * 86_400)
        (self.folder / "joulewise.toml").write_text("")

    def state(self, node: int) -> Path:
        """The folder of one agent's spool."""
        return self.folder / f"node-{node}"

    def start_advisor(self) -> None:
        """Start it on its folder and wait until it is ready."""
        command = [str(Path(sys.executable).with_name("joulewise")), "serve"]
        command += ["--config", str(self.folder / "joulewise.toml")]
        command += ["--data", str(self.folder / "advisor"), "--port", str(self.port)]
        command += ["--otlp-port", str(self.otlp_port)]
        with (self.folder / "advisor.log").open("ab") as log:
            self.advisor = subprocess.Popen(command, stderr=log, stdout=log)
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            try:
                if httpx.get(f"http://127.0.0.1:{self.otlp_port}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise SystemExit("the advisor is not ready; see " + str(self.folder / "advisor.log"))

    def start_agent(self, node: int) -> None:
        """Start one node's agent on its folder."""
        command = [sys.executable, "-P", "-m", "simulator.node", "--fleet", "story"]
        command += ["--seed", self.seed, "--node", str(node), "--state", str(self.state(node))]
        command += ["--destination", f"http://127.0.0.1:{self.otlp_port}"]
        command += ["--start", str(self.start_s), "--fine", str(aligned(time.time() - 3600))]
        self.agents[node] = subprocess.Popen(
            command, stdout=(self.folder / f"node-{node}.out").open("ab"), stderr=subprocess.STDOUT
        )

    def kill(self, process: subprocess.Popen[bytes] | None) -> None:
        """SIGKILL, and wait until it is gone."""
        if process is not None:
            process.kill()
            process.wait()

    def await_live(self) -> None:
        """Wait until every agent has sent its backfill."""
        until_s = time.monotonic() + PATIENCE_S
        while not all(self._is_live(node) for node in self.agents):
            if time.monotonic() > until_s:
                raise SystemExit("the backfill does not end; see the logs in " + str(self.folder))
            time.sleep(0.5)

    def _is_live(self, node: int) -> bool:
        lines = (self.folder / f"node-{node}.out").read_text().splitlines()
        return bool(lines) and '"event": "live"' in lines[-1]

    def stop(self) -> None:
        """End all of them properly, the agents first."""
        for process in (*self.agents.values(), self.advisor):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)


@dataclass(frozen=True)
class Account:
    """What an agent says became of its batches, and what the store holds of them."""

    node: int
    produced: int
    acknowledged: int
    spooled: int
    dropped: int
    stored: int
    stored_twice: int

    def holds(self) -> bool:
        """Conservation, and what was acknowledged stored once; what waits may be there already."""
        return (
            self.produced == self.acknowledged + self.spooled + self.dropped
            and self.dropped == self.stored_twice == 0
            and self.acknowledged <= self.stored <= self.acknowledged + self.spooled
        )


def account(stage: Stage) -> list[Account]:
    """The account of every agent, read from the folders that the processes left."""
    telemetry = stage.folder / "advisor" / "telemetry.duckdb"
    with duckdb.connect(str(telemetry), read_only=True) as database:
        return [_account(stage, node, database) for node in sorted(stage.agents)]


def _account(stage: Stage, node: int, database: duckdb.DuckDBPyConnection) -> Account:
    spool = Spool(stage.state(node) / "spool.db")
    counts, epoch = spool.counts(), spool.epoch
    spool.close()
    stored, twice = database.execute(
        "select count(distinct sequence), count(*) - count(distinct (subject_id, source, sequence))"
        " from gpu_windows where epoch = ?",
        [epoch],
    ).fetchone() or (0, 0)
    return Account(
        node,
        counts.produced,
        counts.acknowledged,
        counts.spooled,
        sum(counts.dropped.values()),
        stored,
        twice,
    )


def run(stage: Stage, rounds: int, seed: str) -> list[Account]:
    """Backfill with `rounds` kills of the advisor and of one agent each, at random moments."""
    chance = random.Random(seed)
    stage.start_advisor()
    for node in range(stage.nodes):
        stage.start_agent(node)
    for _ in range(rounds):
        time.sleep(chance.uniform(1.0, 3.0))
        node = chance.randrange(stage.nodes)
        stage.kill(stage.agents[node])
        stage.start_agent(node)
        time.sleep(chance.uniform(0.2, 1.5))
        stage.kill(stage.advisor)
        time.sleep(chance.uniform(0.1, 1.0))
        stage.start_advisor()
    stage.await_live()
    stage.stop()
    return account(stage)


def main() -> None:
    """Run one backfill with kills and print the account."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--days", type=float, default=14.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", default="faults")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="joulewise-faults-") as folder:
        stage = Stage(Path(folder), arguments.nodes, arguments.days, arguments.seed)
        try:
            rows = run(stage, arguments.rounds, arguments.seed)
        finally:
            stage.stop()
    for row in rows:
        print(json.dumps(asdict(row)))
    if not all(row.holds() for row in rows):
        sys.exit("the account does not add up")
    print(
        f"{arguments.rounds} kills of the advisor and of an agent each: every batch accounted for"
    )


if __name__ == "__main__":
    main()
