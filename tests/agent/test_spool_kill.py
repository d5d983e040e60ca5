"""A spool whose owner is killed at any instant stays in balance and forgets nothing it promised."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from agent.spool import Spool

_WRITER = """
import sys
from pathlib import Path
from agent.spool import Spool

spool = Spool(Path(sys.argv[1]), max_bytes=20_000)
print("open", flush=True)
while True:
    made = (spool.state() or {"made": 0})["made"] + 1
    sequence = spool.append(lambda s: f"{s}".encode() * 50, end_s=60.0 * made, state={"made": made})
    print("stored", sequence, flush=True)
    if sequence % 3 == 0:
        spool.acknowledge(sequence - 1)
        print("acknowledged", sequence - 1, flush=True)
    if sequence % 7 == 0:
        spool.drop(sequence - 2, "rejected")
"""


def _write_until_killed(path: Path, after_s: float) -> list[list[str]]:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, path], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer.stdout as lines:
        assert lines.readline() == "open\n"
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        said = [line.split() for line in lines if line.endswith("\n")]
    writer.wait()
    return said


def test_a_kill_at_any_instant_leaves_the_account_balanced(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    chance = random.Random(20261123)
    promised = 0
    for _ in range(6):
        said = _write_until_killed(path, chance.uniform(0.005, 0.06))
        promised = max([promised, *(int(number) for word, number in said if word == "stored")])
        spool = Spool(path)
        counts, state = spool.counts(), spool.state()
        pending = {batch.sequence for batch in spool.pending(100_000)}
        spool.close()
        assert counts.produced == counts.acknowledged + counts.spooled + sum(
            counts.dropped.values()
        )
        assert counts.produced in {
            promised,
            promised + 1,
        }  # committed, but killed before it said so
        assert state == {"made": counts.produced}
        assert len(pending) == counts.spooled
        assert not pending & {int(number) for word, number in said if word == "acknowledged"}
        promised = counts.produced
    assert promised > 20
