"""The agent driven by a clock: aligned windows, isolated sources, an orderly end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.daemon import NodeAgent
from agent.errors import AgentError
from agent.otlp import Resource
from agent.service import Group, Service
from agent.settings import Destination
from agent.ship import Shipper
from agent.spool import Spool
from agent.window import Observation


class Beat:
    """Counts how often it was read, and takes as long as it is told."""

    def __init__(self, name: str, takes_s: float = 0.0) -> None:
        self.name = name
        self.takes_s = takes_s
        self.reads = 0

    def collect(self, at_s: float) -> Sequence[Observation]:
        self.reads += 1
        time.sleep(self.takes_s)
        return []


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db")
    yield opened
    opened.close()


@pytest.fixture
def agent(spool: Spool) -> NodeAgent:
    return NodeAgent(Resource("h", "n", spool.epoch, "0"), (), spool, max_gap_s=5.0)


def _run_until(service: Service, stop: threading.Event, done: Callable[[], bool]) -> None:
    runner = threading.Thread(target=service.run)
    runner.start()
    deadline = time.monotonic() + 20.0
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    runner.join()
    assert done()


def test_a_slow_source_delays_no_other(agent: NodeAgent) -> None:
    slow, fast = Beat("slow", takes_s=0.4), Beat("fast")
    groups = [Group("slow", 0.05, (slow,)), Group("fast", 0.02, (fast,))]
    stop = threading.Event()
    service = Service(agent, groups, [], window_s=60.0, stop=stop)
    _run_until(service, stop, lambda: fast.reads >= 10)
    assert slow.reads <= 2


def test_windows_end_on_the_beat_of_the_clock_and_the_last_one_at_the_stop(
    agent: NodeAgent, spool: Spool
) -> None:
    stop = threading.Event()
    service = Service(agent, [], [], window_s=0.25, stop=stop)
    _run_until(service, stop, lambda: spool.counts().produced >= 3)
    ends = [batch.end_s for batch in spool.pending(100)]
    assert all(end_s % 0.25 == 0.0 for end_s in ends[:-1])
    assert ends[-1] <= time.time()
    assert len(set(ends)) == len(ends)


def test_windows_are_shipped_as_they_close_or_kept(agent: NodeAgent, spool: Spool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    shipper = Shipper(spool, Destination(url=f"http://127.0.0.1:{port}"))
    stop = threading.Event()
    service = Service(agent, [], [shipper], window_s=0.25, stop=stop)
    _run_until(service, stop, lambda: spool.counts().produced >= 2)
    shipper.close()
    assert spool.counts().spooled == spool.counts().produced


def test_systemd_hears_that_it_is_ready_alive_and_stopping(
    agent: NodeAgent, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        stop = threading.Event()
        service = Service(agent, [], [], window_s=60.0, stop=stop)
        heard: list[str] = []

        def listen() -> bool:
            heard.append(systemd.recv(100).decode())
            return len(heard) == 2

        _run_until(service, stop, lambda: len(heard) == 2 or listen())
        heard.append(systemd.recv(100).decode())
    assert heard == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_ends_the_process(agent: NodeAgent) -> None:
    class Gone(Shipper):
        def __init__(self) -> None:
            """Has nothing to send."""

        def ship_once(self) -> None:  # type: ignore[override]
            raise RuntimeError("a fault of ours")

    service = Service(agent, [], [Gone()], window_s=0.5, stop=threading.Event())
    with pytest.raises(AgentError, match="its thread ship-0 ended"):
        service.run()


def test_the_clock_runs_on_when_the_wall_clock_is_set() -> None:
    wall, monotonic = [1_000.0], [50.0]
    clock = Clock(lambda: wall[0], lambda: monotonic[0])
    monotonic[0] += 10.0
    wall[0] += 3_610.0
    assert clock.now_s() == 1_010.0
    assert clock.next_boundary_s(60.0) == 1_020.0
    assert clock.settle() == 3_600.0
    assert clock.now_s() == 4_610.0


def test_a_clock_that_was_set_begins_a_new_window(
    agent: NodeAgent, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    ahead = [0.0]
    clock = Clock(lambda: time.time() + ahead[0])
    ahead[0] = 86_400.0
    stop = threading.Event()
    service = Service(agent, [], [], window_s=0.25, stop=stop, clock=clock)
    _run_until(service, stop, lambda: spool.counts().produced >= 3)
    ends = [batch.end_s for batch in spool.pending(100)]
    assert ends[1] - ends[0] > 86_000.0
    assert "the clock was set moved_s=86400" in caplog.text
