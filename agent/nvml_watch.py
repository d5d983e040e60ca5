"""NVML behind a pipe: a call that never returns costs the process it hangs in, not the agent.

A process that hangs in the driver cannot even be killed; it is abandoned, and while it is there no
second one is started.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, cast

from agent.nvml import GpuReading
from agent.nvml_errors import NvmlError
from agent.vocabulary import Reading

COMMAND = (sys.executable, "-P", "-m", "agent.nvml_child")
TIMEOUT_S = 10.0
"""Opening NVML with persistence mode off takes seconds; a read takes milliseconds."""
RETRY_S = 30.0
ENDING_S = 1.0
CHUNK_BYTES = 1 << 16


class WatchedGpus:
    """The GPUs of this node as a child process reads them: a `GpuSource`.

    One thread at a time may call it.
    """

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = timeout_s
        self._command = tuple(command)
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._abandoned: subprocess.Popen[bytes] | None = None
        self._retry_at_s = clock()
        self._refusal = ""
        self._answer: Mapping[str, Any] = {}

    def read(self) -> Sequence[GpuReading]:
        """Every GPU that answers.

        Raises:
            NvmlError: NVML gives nothing, hangs, or its process ended.
        """
        self._answer = self._asked()
        if "error" in self._answer:
            raise NvmlError(self._answer["error"])
        return [
            GpuReading(uuid, tuple(_reading(*fields) for fields in readings), origin_s)
            for uuid, origin_s, readings in self._answer["gpus"]
        ]

    def missing(self) -> Mapping[str, Mapping[str, str]]:
        """What each GPU does not have, with NVML's reason, as of the last read."""
        reasons: Mapping[str, Mapping[str, str]] = self._answer.get("missing", {})
        return reasons

    def computing(self) -> Mapping[str, Sequence[int]]:
        """The processes that compute on each GPU, by UUID, as of the last read."""
        processes: Mapping[str, Sequence[int]] = self._answer.get("computing", {})
        return processes

    def close(self) -> None:
        """End the child; one that hangs is left to the system."""
        child, self._child = self._child, None
        if child is not None:
            _end(child)
        self._forget_abandoned()

    def _asked(self) -> Mapping[str, Any]:
        child = self._started()
        try:
            cast("IO[bytes]", child.stdin).write(b"\n")  # started with pipes
            line = self._line(child)
        except (BrokenPipeError, EOFError):
            self.close()
            raise self._refused("its process ended; what it last said is above") from None
        except TimeoutError:
            self._child, self._abandoned = None, child
            child.kill()
            raise self._refused(
                f"no answer within {self._timeout_s:g} s, its process was abandoned; the driver "
                "hangs, see `dmesg | grep -i nvrm`"
            ) from None
        try:
            answer: Mapping[str, Any] = json.loads(line)
        except ValueError:
            self.close()
            raise self._refused("its process answered nonsense") from None
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None:
            return self._child
        self._forget_abandoned()
        if self._abandoned is not None or self._clock() < self._retry_at_s:
            raise NvmlError(self._refusal)
        self._child = subprocess.Popen(  # noqa: S603 - a command of ours
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        return self._child

    def _forget_abandoned(self) -> None:
        if self._abandoned is not None and self._abandoned.poll() is not None:
            _close_pipes(self._abandoned)
            self._abandoned = None

    def _line(self, child: subprocess.Popen[bytes]) -> bytes:
        """One line of the child, however it comes in.

        Raises:
            TimeoutError: it does not come.
            EOFError: the child ended.
        """
        end_s = self._clock() + self._timeout_s
        pipe = cast("IO[bytes]", child.stdout).fileno()
        line = bytearray()
        while not line.endswith(b"\n"):
            left_s = max(0.0, end_s - self._clock())
            if not select.select([pipe], [], [], left_s)[0]:
                raise TimeoutError
            chunk = os.read(pipe, CHUNK_BYTES)
            if not chunk:
                raise EOFError
            line += chunk
        return bytes(line)

    def _refused(self, cause: str) -> NvmlError:
        self._retry_at_s = self._clock() + RETRY_S
        self._refusal = f"reading GPUs through NVML: {cause}"
        return NvmlError(self._refusal)


def _reading(signal: str, pairs: Sequence[Sequence[str]], value: float) -> Reading:
    return Reading(signal, tuple((name, word) for name, word in pairs), value)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the pipes, which is what the child waits for; then insist."""
    _close_pipes(child)
    for insist in (None, child.kill):
        if insist is not None:
            insist()
        try:
            child.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
