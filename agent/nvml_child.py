"""The process that talks to NVML: a line of JSON with what the GPUs say for each line sent."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from agent.errors import NoData
from agent.nvml import NvmlGpus


def answer(source: NvmlGpus) -> dict[str, Any]:
    """Everything there is to know of the GPUs now, or why there is nothing."""
    try:
        gpus = source.read()
    except NoData as error:
        return {"error": str(error)}
    return {
        "gpus": [
            [gpu.uuid, gpu.origin_s, [[r.signal, r.attributes, r.value] for r in gpu.readings]]
            for gpu in gpus
        ],
        "missing": {uuid: dict(reasons) for uuid, reasons in source.missing().items()},
        "computing": dict(source.computing()),
    }


def main() -> None:
    """Answer until the agent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the agent's to handle
    source = NvmlGpus()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(answer(source)) + "\n")
        sys.stdout.flush()
    source.close()


if __name__ == "__main__":
    main()
