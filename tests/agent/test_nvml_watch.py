"""NVML in a process of its own: what a hang, an end and nonsense cost."""

from __future__ import annotations

import sys
import time
from contextlib import closing

import pytest

from agent.nvml_errors import NvmlError
from agent.nvml_watch import RETRY_S, WatchedGpus
from agent.vocabulary import Reading

GOOD = """
import json, sys
for n, _ in enumerate(sys.stdin):
    gpu = ["GPU-a", 5.0, [["hw.power", [["hw.id", "GPU-a"]], 300.0 + n]]]
    print(json.dumps({"gpus": [gpu], "missing": {}, "computing": {"GPU-a": [7]}}), flush=True)
"""
HANGS = "import sys, time; sys.stdin.readline(); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {HANGS}"
ENDS = "import sys; sys.stdin.readline(); sys.exit(3)"
NONSENSE = "import sys; sys.stdin.readline(); print('oops', flush=True); sys.stdin.readline()"
REFUSES = 'import sys; [print(\'{"error": "no driver"}\', flush=True) for _ in sys.stdin]'
HALF = "import sys, time; sys.stdin.readline(); print('{', end='', flush=True); time.sleep(60)"


class Clock:
    """The time that runs, and a step put on top of it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def gpus(script: str, clock: Clock, timeout_s: float = 5.0) -> WatchedGpus:
    return WatchedGpus(timeout_s=timeout_s, command=(sys.executable, "-c", script), clock=clock)


def test_one_process_answers_every_read(clock: Clock) -> None:
    with closing(gpus(GOOD, clock)) as source:
        values = [source.read()[0].readings for _ in range(3)]
        pairs = (("hw.id", "GPU-a"),)
        assert values == [(Reading("hw.power", pairs, 300.0 + n),) for n in range(3)]
        assert source.computing() == {"GPU-a": [7]}


@pytest.mark.parametrize("script", [HANGS, STUBBORN, HALF])
def test_a_hang_ends_at_the_time_limit_and_is_not_repeated_at_once(
    script: str, clock: Clock
) -> None:
    with closing(gpus(script, clock, timeout_s=0.3)) as source:
        for _ in range(3):
            started_s = time.monotonic()
            with pytest.raises(NvmlError, match="the driver hangs"):
                source.read()
            assert time.monotonic() - started_s < 2.0
        clock.ahead_s += RETRY_S
        source._command = (sys.executable, "-c", GOOD)
        source._timeout_s = 5.0
        time.sleep(0.1)
        assert source.read()[0].uuid == "GPU-a"


def test_a_process_that_ends_is_started_anew_later(clock: Clock) -> None:
    with closing(gpus(ENDS, clock)) as source:
        for _ in range(2):
            with pytest.raises(NvmlError, match="its process ended"):
                source.read()
        clock.ahead_s += RETRY_S
        source._command = (sys.executable, "-c", GOOD)
        assert source.read()[0].uuid == "GPU-a"


def test_nonsense_is_an_error_with_its_cause(clock: Clock) -> None:
    with closing(gpus(NONSENSE, clock)) as source, pytest.raises(NvmlError, match="nonsense"):
        source.read()


def test_what_nvml_refuses_is_said_in_its_words(clock: Clock) -> None:
    with closing(gpus(REFUSES, clock)) as source:
        for _ in range(2):
            with pytest.raises(NvmlError, match="no driver"):
                source.read()


def test_the_real_child_says_why_there_is_no_gpu_or_reads_one() -> None:
    with closing(WatchedGpus()) as source:
        try:
            said = source.read()[0].uuid
        except NvmlError as error:
            said = str(error)
    assert said.startswith(("GPU-", "opening NVML"))
