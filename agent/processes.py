"""Processes of this node as /proc shows them: who listens on a port, and with which command line.

Without privileges an agent sees every command line, but sockets only of its own user's processes;
what it may not see is absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

LISTEN = "0A"
"""TCP_LISTEN in the `st` column of /proc/net/tcp."""
MAX_DEPTH = 16


class Processes:
    """The processes below a /proc folder."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def listening(self, port: int) -> int | None:
        """The id of the process that listens on a port; None if nobody, or not ours to see."""
        sockets = {f"socket:[{inode}]" for inode in self._inodes(port)}
        if not sockets:
            return None
        return next((pid for pid in self._pids() if self._holds(pid, sockets)), None)

    def command(self, pid: int) -> list[str]:
        """The command line; empty where it cannot be read."""
        try:
            text = (self._proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return []
        return [word.decode("utf-8", "replace") for word in text.rstrip(b"\0").split(b"\0")]

    def ancestry(self, pid: int) -> list[int]:
        """The process and those it descends from, up to but without init."""
        line: list[int] = []
        while pid > 1 and len(line) < MAX_DEPTH:
            line.append(pid)
            pid = self._parent(pid)
        return line

    def _parent(self, pid: int) -> int:
        try:
            stat = (self._proc / str(pid) / "stat").read_text()
            return int(stat.rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return 0

    def _inodes(self, port: int) -> Iterator[str]:
        for name in ("net/tcp", "net/tcp6"):
            try:
                lines = (self._proc / name).read_text().splitlines()[1:]
            except OSError:
                continue
            for columns in (line.split() for line in lines):
                if columns[3] == LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    yield columns[9]

    def _pids(self) -> Iterator[int]:
        try:
            yield from sorted(
                int(entry.name) for entry in self._proc.iterdir() if entry.name.isdigit()
            )
        except OSError:
            return

    def _holds(self, pid: int, sockets: set[str]) -> bool:
        try:
            descriptors = list((self._proc / str(pid) / "fd").iterdir())
        except OSError:
            return False
        return any(_target(descriptor) in sockets for descriptor in descriptors)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
