"""What storing adds to decoding: batches of one node, decoded alone and decoded and committed.

`python bench/ingest.py [FOLDER]`: where to store, so that the disk is the one that counts.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from advisor.receive.otlp import decode
from advisor.store.windows_duckdb import DuckDbWindows
from agent.otlp import Resource, encode
from agent.vocabulary import SIGNALS, Histogram, Signal
from agent.window import Point, Subject, Window

GPUS, INSTANCES = 8, 2
BATCHES, GROUP = 480, 16
BOUNDS = (*(0.001 * 2**n for n in range(16)), float("inf"))
OWN = ("hw.id", "joulewise.instance.id")
START_S = 1_790_000_000.0


def batches() -> Iterator[bytes]:
    """Eight hours of a node: every signal that is shipped, once a minute."""
    resource = Resource("h1", "node-1", "epoch", "0")
    subjects = [Subject("gpu", f"GPU-{n}") for n in range(GPUS)]
    subjects += [Subject("instance", f"h1:{8000 + n}") for n in range(INSTANCES)]
    for sequence in range(1, BATCHES + 1):
        end_s = START_S + 60.0 * sequence
        windows = [
            Window(one, "bench", end_s - 60.0, end_s, tuple(points(one, sequence)))
            for one in subjects
        ]
        yield encode(resource, sequence, windows)


def points(subject: Subject, sequence: int) -> Iterator[Point]:
    """One point a signal of this kind of subject."""
    for signal in SIGNALS.values():
        if signal.shipped and signal.subject == subject.kind:
            value = histogram(sequence) if signal.kind == "histogram" else 60.0 * sequence
            yield Point(signal.name, attributes(signal), value, START_S)


def attributes(signal: Signal) -> tuple[tuple[str, str], ...]:
    """A word for each; the window's subject names itself."""
    return tuple((name, "bench") for name in signal.attributes if name not in OWN)


def histogram(sequence: int) -> Histogram:
    buckets = tuple((bound, 10.0 * n * sequence) for n, bound in enumerate(BOUNDS))
    return Histogram(buckets, 3.0 * sequence, buckets[-1][1])


def decode_all(bodies: Sequence[bytes]) -> float:
    started = time.perf_counter()
    for body in bodies:
        decode(body)
    return time.perf_counter() - started


def store_all(bodies: Sequence[bytes], folder: Path) -> tuple[float, int]:
    """Seconds to decode, commit in groups as the queue does, and turn the rest into rows."""
    store = DuckDbWindows(folder / "telemetry.duckdb")
    kept = 0
    started = time.perf_counter()
    for first in range(0, len(bodies), GROUP):
        group = [f for body in bodies[first : first + GROUP] for f in decode(body).fragments]
        kept += store.append(group)
    store.flush()
    took_s = time.perf_counter() - started
    store.close()
    return took_s, kept


def main() -> None:
    bodies = list(batches())
    size = sum(map(len, bodies)) / len(bodies)
    refused = decode(bodies[0])
    decode_s = min(decode_all(bodies) for _ in range(3))
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        store_s, kept = store_all(bodies, Path(folder))
    print(f"{BATCHES} batches of {GPUS} GPUs and {INSTANCES} instances, {size:,.0f} bytes each")
    print(
        f"{kept} fragments, {refused.rejected} points of a batch not kept {dict(refused.reasons)}"
    )
    print(f"decode alone       {decode_s / BATCHES * 1e3:7.3f} ms a batch")
    print(
        f"decode and store   {store_s / BATCHES * 1e3:7.3f} ms a batch  {store_s / decode_s:.2f}x"
    )
    print(f"one node a minute  {60 / (store_s / BATCHES):,.0f} nodes keep one core busy")


if __name__ == "__main__":
    main()
