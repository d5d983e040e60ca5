"""How long a page takes to become readings, against prometheus_client's parser alone, in one run.

`python bench/page.py [FILE]`: an engine's page; without one, ours of vLLM 0.33 with two ranks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from agent.engine import read_engine
from agent.engines import ENGINES
from agent.page import PageReader
from agent.read import read_page

OURS = Path(__file__).parents[1] / "tests" / "pages" / "vllm_0.33_dp2.prom"
ROUNDS = 40


def best_ms(work: Callable[[], object]) -> float:
    """The shortest of many rounds: what is left when nothing else runs."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def main() -> None:
    text = (Path(sys.argv[1]) if len(sys.argv) > 1 else OURS).read_bytes()
    table = ENGINES[read_page("auto", text).program]
    reader = PageReader(table.names)
    readings = len(read_engine(table, reader.read(text)))
    parser = best_ms(lambda: list(text_string_to_metric_families(text.decode())))
    cold = best_ms(lambda: read_engine(table, PageReader(table.names).read(text)))
    warm = best_ms(lambda: read_engine(table, reader.read(text)))
    print(f"{table.title}, {len(text):,} bytes, {readings} readings, best of {ROUNDS} rounds")
    print(f"prometheus_client, parsing only     {parser:7.3f} ms")
    print(f"first read to readings              {cold:7.3f} ms  1/{parser / cold:.1f}")
    print(f"every later read to readings        {warm:7.3f} ms  1/{parser / warm:.1f}")


if __name__ == "__main__":
    main()
