"""A real advisor and real agents killed in the middle of a backfill lose and double nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_kill_9_of_advisor_and_agents_in_a_backfill_keeps_every_batch_once() -> None:
    command = [sys.executable, ROOT / "bench" / "faults.py"]
    ran = subprocess.run(
        [*command, "--nodes", "2", "--days", "4", "--rounds", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "every batch accounted for" in ran.stdout
