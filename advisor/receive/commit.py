"""Many requests, one commit: a thread stores what arrives in groups and says when it is safe."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from advisor.errors import AdvisorError, OverloadedError, StoreError
from advisor.store.windows import Fragment


class Appends(Protocol):
    """What a commit queue needs of a store."""

    def append(self, fragments: Sequence[Fragment]) -> int:
        """Commit fragments durably; return how many were new."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    fragments: Sequence[Fragment]
    committed: Future[None]


class CommitQueue:
    """A bounded queue before a store, drained by one writer thread in groups.

    A future that `submit` returns is done when its fragments are durable, or fails.
    """

    def __init__(self, store: Appends, *, length: int = 256, group: int = 64) -> None:
        self._store = store
        self._group = group
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(length)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether fragments are still taken."""
        return not self._closed.is_set() and self._thread.is_alive()

    def submit(self, fragments: Sequence[Fragment]) -> Future[None]:
        """Ask for fragments to be committed.

        Raises:
            OverloadedError: the queue is full or closing.
        """
        if self._closed.is_set():
            raise OverloadedError("the advisor is stopping; send again after it has started")
        waiting = _Waiting(fragments, Future())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full as error:
            raise OverloadedError(
                "more batches arrive than can be committed; keep this one and send it again later"
            ) from error
        return waiting.committed

    def close(self, timeout_s: float = 30.0) -> None:
        """Take nothing more, commit what waits, and stop the thread."""
        if not self._closed.is_set():
            self._closed.set()
            self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            group, is_last = self._take()
            if group:
                self._commit(group)
            if is_last:
                return

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Wait for one request, then take whatever else has arrived, up to a group."""
        group: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == self._group:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            self._store.append([f for waiting in group for f in waiting.fragments])
        except AdvisorError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - the writer outlives any group; its senders keep theirs
            _fail(group, StoreError(f"committing failed: {error!r}. Keep this and send it again."))
        else:
            for waiting in group:
                waiting.committed.set_result(None)


def _fail(group: Sequence[_Waiting], error: AdvisorError) -> None:
    for waiting in group:
        waiting.committed.set_exception(error)
