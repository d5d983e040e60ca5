"""The advisor's data folder: marked as ours, and held by one advisor at a time."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from advisor.errors import DataFolderError

MARKER = "joulewise.json"
LOCK = "lock"
FORMAT = 1


@dataclass(frozen=True)
class DataFolder:
    """A folder that is ours for as long as it is open; the lock goes with the process."""

    path: Path
    lock: IO[str]

    @property
    def telemetry(self) -> Path:
        """The telemetry store."""
        return self.path / "telemetry.duckdb"

    @property
    def state_url(self) -> str:
        """The state's database, where no other is set."""
        return f"sqlite:///{self.path / 'state.sqlite'}"

    def close(self) -> None:
        """Let another advisor have the folder."""
        self.lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_folder(path: Path) -> DataFolder:
    """Take a data folder, made if it is not there.

    Raises:
        DataFolderError: it holds something else, another advisor has it, or it cannot be written.
    """
    path = path.resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_ours(path)
        return DataFolder(path, _locked(path))
    except OSError as error:
        raise DataFolderError(
            f"opening the data folder {path}: {error.strerror}. "
            "Give a folder this user may write: joulewise serve --data DIR"
        ) from error


def _require_ours(path: Path) -> None:
    marker = path / MARKER
    if marker.exists():
        _require_format(marker)
        return
    if others := sorted(entry.name for entry in path.iterdir()):
        raise DataFolderError(
            f"opening the data folder {path}: it holds {others[0]} and is not Joulewise's "
            f"({MARKER} is missing). Give an empty or a new folder: joulewise serve --data DIR"
        )
    marker.write_text(json.dumps({"program": "joulewise", "format": FORMAT}) + "\n")


def _require_format(marker: Path) -> None:
    try:
        found = json.loads(marker.read_text())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataFolderError(
            f"opening the data folder {marker.parent}: {marker.name} is not Joulewise's. "
            "Give another folder: joulewise serve --data DIR"
        ) from error
    if found != FORMAT:
        raise DataFolderError(
            f"opening the data folder {marker.parent}: its format is {found}, this program's "
            f"{FORMAT}. Use the version that made it, or another folder."
        )


def _locked(path: Path) -> IO[str]:
    lock = (path / LOCK).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise DataFolderError(
            f"opening the data folder {path}: another advisor (process {holder}) has it. "
            "Stop that one, or give this one its own folder: joulewise serve --data DIR"
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
