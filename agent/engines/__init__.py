"""The serving engines that can be read, each a table in a file of its own."""

from __future__ import annotations

from agent.engine import EngineTable
from agent.engines.sglang import SGLANG
from agent.engines.tensorrt_llm import TENSORRT_LLM
from agent.engines.vllm import VLLM

ENGINES: dict[str, EngineTable] = {table.name: table for table in (VLLM, SGLANG, TENSORRT_LLM)}

ALIASES = {"trtllm": "tensorrt-llm", "tensorrt_llm": "tensorrt-llm", "trt-llm": "tensorrt-llm"}
"""Other names that people give an engine."""


def find_engine(name: str) -> EngineTable | None:
    """The table of an engine by its name or an alias of it, in any case."""
    key = name.lower()
    return ENGINES.get(ALIASES.get(key, key))
