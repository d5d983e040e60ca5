"""Runs every fenced command of the README in a clean folder and prints how long a newcomer waits.

The public repository is stood in for by a clone of this one, /opt/joulewise by a folder of the run,
and the demo stops by itself. `--collect` only collects the tests, for use from within them.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PUBLIC = re.compile(r"https://github\.com/joulewise/joulewise\.git")


def commands(readme: str) -> list[str]:
    """Every line of every fenced shell block, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def adapted(command: str, folder: Path, *, collect: bool) -> str:
    """The command as it can be run here: local clone, own prefix, a demo that ends."""
    command = PUBLIC.sub(f"{shlex.quote(str(ROOT))} joulewise", command)
    command = command.replace("/opt/joulewise", str(folder / "opt"))
    if command == "make demo":
        return "make demo ONCE=1"
    if command == "make test" and collect:
        return "make test ARGS='--collect-only -q'"
    return command


def clean_environment(folder: Path) -> dict[str, str]:
    """Nothing of the caller's: no virtual environment, an empty home, a plain path."""
    keep = {
        key: os.environ[key] for key in ("LANG", "PIP_CACHE_DIR", "TMPDIR") if key in os.environ
    }
    path = os.pathsep.join(
        part
        for part in os.environ["PATH"].split(os.pathsep)
        if not part.startswith(str(ROOT)) and ".venv" not in part
    )
    return {
        **keep,
        "PATH": path,
        "HOME": str(folder),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


def run(folder: Path, *, collect: bool) -> float | None:
    """Run them all; the seconds from the clone to the first recommendation, if there was one."""
    here, begun, waited = folder, time.monotonic(), None
    environment = clean_environment(folder)
    for original in commands((ROOT / "README.md").read_text()):
        command = adapted(original, folder, collect=collect)
        if command.startswith("cd "):
            here = here / command.removeprefix("cd ").strip()
            continue
        started = time.monotonic()
        if original.startswith("git clone"):
            begun = started
        done = subprocess.run(command, shell=True, cwd=here, env=environment, check=False)
        print(f"{time.monotonic() - started:7.1f} s  {original}", flush=True)
        if done.returncode != 0:
            sys.exit(f"the README's command failed with {done.returncode}: {original}")
        if waited is None and list((here / "out").glob("recommendations.json")):
            waited = time.monotonic() - begun
    return waited


def main() -> None:
    """Run the README in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collect", action="store_true", help="only collect the tests")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="joulewise-readme-") as folder:
        waited = run(Path(folder), collect=arguments.collect)
    if waited is None:
        sys.exit("no recommendation came of the README's commands")
    print(f"{waited:7.1f} s  from clone to the first recommendation")


if __name__ == "__main__":
    main()
