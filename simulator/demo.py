"""The command `joulewise-demo`: a simulated fleet, real agents and a real advisor."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from simulator import fleet, node, results
from simulator.children import Child, free_port, require_free, stop
from simulator.errors import DemoError
from simulator.results import Advisor

_READY_S = 60.0
_FINE_S = 6 * 3600.0
_CONFIG = "# The demo sets everything by flags.\n"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `port` None picks a free one."""

    fleet: str
    seed: str
    days: int
    port: int | None
    data: Path


class Demo:
    """An advisor and one process a node."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.fleet = fleet.build(options.fleet, options.seed)
        self._console = console
        self._otlp_port = free_port()
        self.advisor = Advisor(f"http://127.0.0.1:{options.port or free_port()}")
        self._server: Child | None = None
        self._nodes: list[Child] = []

    def stop(self) -> None:
        """End every process, the nodes first: what they have goes to the advisor before it ends."""
        stop(self._nodes)
        if self._server is not None:
            stop([self._server])

    def start_advisor(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DemoError: it ended, or is not ready after a minute.
        """
        data = self.options.data / "advisor"
        data.mkdir(parents=True, exist_ok=True)
        deployments = self.options.data / "deployments.toml"
        deployments.write_text(fleet.deployments_toml(self.fleet), encoding="utf-8")
        config = self.options.data / "joulewise.toml"
        config.write_text(_CONFIG, encoding="utf-8")
        flags = {
            "--config": config,
            "--data": data,
            "--deployments": deployments,
            "--port": self.advisor.url.rpartition(":")[2],
            "--otlp-port": self._otlp_port,
        }
        command = [_script("joulewise"), "serve", *(str(p) for pair in flags.items() for p in pair)]
        self._server = self._child("the advisor", command, "advisor.log")
        self._await_ready(self._server)

    def start_nodes(self) -> None:
        """Start one process a node; each begins to backfill at once."""
        now_s = time.time()
        start_s = node.aligned(now_s - self.options.days * 86_400)
        fine_s = max(node.aligned(now_s - _FINE_S), start_s)
        for index, one in enumerate(self.fleet.nodes):
            command = [sys.executable, "-P", "-m", "simulator.node", "--with-parent"]
            flags = {
                "--fleet": self.options.fleet,
                "--seed": self.options.seed,
                "--node": index,
                "--state": self.options.data / one.host_id,
                "--destination": f"http://127.0.0.1:{self._otlp_port}",
                "--start": start_s,
                "--fine": fine_s,
            }
            command += [str(part) for pair in flags.items() for part in pair]
            name, log = f"the node {one.host_id}", f"{one.host_id}.log"
            self._nodes.append(self._child(name, command, log))

    def await_backfill(self) -> None:
        """Show how far each node is until all are live.

        Raises:
            DemoError: a process ended.
        """
        columns = (
            TextColumn("{task.description:>10}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            bars = [progress.add_task(one.host_id, total=1.0) for one in self.fleet.nodes]
            while not progress.finished:
                self.check()
                for bar, child in zip(bars, self._nodes, strict=True):
                    progress.update(bar, completed=_share_done(child))
                time.sleep(0.2)

    def check(self) -> None:
        """Nothing while every process runs.

        Raises:
            DemoError: one ended.
        """
        for child in (*self._nodes, *([self._server] if self._server else [])):
            child.check()

    def _child(self, name: str, command: Sequence[str], log: str) -> Child:
        self.options.data.mkdir(parents=True, exist_ok=True)
        return Child(name, command, self.options.data / log, _environment())

    def _await_ready(self, server: Child) -> None:
        until_s = time.monotonic() + _READY_S
        while not self.advisor.is_ready():
            server.check()
            if time.monotonic() > until_s:
                raise DemoError(
                    f"the advisor is not ready after {_READY_S:.0f} s:\n{server.tail()}"
                )
            time.sleep(0.2)


@app.command()
def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="stop by itself and leave files")] = False,
    fleet_name: Annotated[str, typer.Option("--fleet", help="story or drawn")] = "story",
    seed: Annotated[str, typer.Option(help="the same seed gives the same fleet")] = "story",
    days: Annotated[int, typer.Option(min=1, max=60, help="days to fill in")] = 14,
    port: Annotated[int, typer.Option(help="port of pages and REST; --once takes any")] = 8080,
    data: Annotated[Path | None, typer.Option(help="keep telemetry here and go on from it")] = None,
    out: Annotated[Path, typer.Option(help="folder for the files of --once")] = Path("out"),
) -> None:
    """Run a simulated fleet with real agents and a real advisor; needs no GPU."""
    console = Console()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupted)
    try:
        with _folder(data) as folder, ExitStack() as stack:
            if not once:
                require_free(port)
            options = Options(fleet_name, seed, days, None if once else port, folder)
            running = Demo(options, console)
            stack.enter_context(running.advisor)
            stack.callback(running.stop)
            running.start_advisor()
            running.start_nodes()
            running.await_backfill()
            running.advisor.assess()
            if once:
                _leave_files(running, out, console)
            else:
                _serve(running, console)
    except (DemoError, ValueError) as error:
        typer.echo(f"joulewise-demo: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        console.print("Stopped.")


def _serve(running: Demo, console: Console) -> None:
    _show(running, console)
    console.print(f"Live at [bold]{running.advisor.url}[/bold], until Ctrl-C.")
    while True:
        running.check()
        time.sleep(1.0)


def _leave_files(running: Demo, out: Path, console: Console) -> None:
    results.write(running.advisor, out)
    _show(running, console)
    console.print(f"Left {', '.join(results.FILES)} in {out}/.")


def _show(running: Demo, console: Console) -> None:
    recommendations = running.advisor.listing("/api/v1/recommendations")
    hosts = [one.host_id for one in running.fleet.nodes]
    console.print(results.summary(recommendations, hosts))


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The folder that was asked for, or one that is gone afterwards."""
    if data is not None:
        yield data
        return
    made = Path(tempfile.mkdtemp(prefix="joulewise-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _share_done(child: Child) -> float:
    """What the last line a node wrote says; 1 once it is live."""
    if not child.lines:
        return 0.0
    said = json.loads(child.lines[-1])
    if said["event"] == "live":
        return 1.0
    return min(float(said["done_s"]) / max(float(said["of_s"]), 1.0), 0.999)


def _environment() -> dict[str, str]:
    """Ours without settings for an advisor or agent of the person's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JOULEWISE_")}


def _script(name: str) -> str:
    """A command of this installation."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoError(
            f"the command {name} is not installed; run: pip install 'joulewise[advisor]'"
        )
    return found


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line."""
    app()
