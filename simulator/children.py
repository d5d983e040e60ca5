"""The processes of a demo: started in sessions of their own, watched, and stopped in the end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulator.errors import DemoError

_STOP_S = 15.0
_TAIL_LINES = 12


class Child:
    """One process with a log file; its standard output is kept line by line in `lines`."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        self._log = log
        self._file = log.open("ab")
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._file,
            env=dict(environment),
            start_new_session=True,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def check(self) -> None:
        """Nothing while it runs.

        Raises:
            DemoError: it ended; the message holds the end of its log.
        """
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with status {code}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()[-_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (its log is empty)"

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()

    def wait(self, until_s: float) -> None:
        """Wait until a monotonic time, then kill it with everything it started."""
        try:
            self._process.wait(max(until_s - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._file.close()
        self._reader.join(_STOP_S)

    def _read(self) -> None:
        with self._process.stdout or contextlib.nullcontext(()) as output:
            for line in output:
                self.lines.append(line)


def stop(children: Sequence[Child]) -> None:
    """Ask all of them at once, then wait; who does not listen is killed."""
    until_s = time.monotonic() + _STOP_S
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.wait(until_s)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def require_free(port: int) -> None:
    """Nothing where the port is free.

    Raises:
        DemoError: it is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(
                f"listening on 127.0.0.1:{port}: {error.strerror}; stop what listens there, "
                "or choose another port: joulewise-demo --port 8081"
            ) from error
