"""A serving engine's command line, read through an allow-list of flags.

What is not in the list is never kept: a command line carries keys and tokens.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.precision import kv_of, weights_of

MODEL = "joulewise.model"
WEIGHTS = "joulewise.precision.weights"
KV = "joulewise.precision.kv"
TENSOR = "joulewise.parallel.tensor"
PIPELINE = "joulewise.parallel.pipeline"
DATA = "joulewise.parallel.data"
EXPERT = "joulewise.parallel.expert"
SEQUENCES = "joulewise.max_sequences"
BATCHED_TOKENS = "joulewise.max_batched_tokens"
MODEL_LENGTH = "joulewise.max_model_length"
MEMORY = "joulewise.memory_utilization"
FEATURES = "joulewise.features"
ROLE = "joulewise.role"

QUANTIZATION, KV_DTYPE = "quantization", "kv dtype"
EXPERT_SWITCH, ATTENTION_DATA, KV_TRANSFER = "expert switch", "attention data", "kv transfer"
"""Options that say something only together with others."""

PREFIX, CHUNKED, SPECULATIVE = "prefix_caching", "chunked_prefill", "speculative_decoding"
EAGER, BALANCER = "enforce_eager", "expert_balancing"


@dataclass(frozen=True, slots=True)
class Program:
    """How one engine is started: words that tell it, its options with a value, its switches.

    An option is named without leading dashes, with dashes for underscores. A switch says which
    feature it turns on, or off with a minus. `standard` features are on unless turned off.
    """

    engine: str
    starts: tuple[tuple[str, ...], ...]
    options: Mapping[str, str]
    switches: Mapping[str, str] = field(default_factory=dict)
    standard: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)


_ONE_GPU = {TENSOR: "1", PIPELINE: "1", DATA: "1", EXPERT: "1"}

PROGRAMS = (
    Program(
        engine="vllm",
        starts=(("vllm", "serve"), ("vllm.entrypoints.openai.api_server",), ("dynamo.vllm",)),
        options={
            "model": MODEL,
            "quantization": QUANTIZATION,
            "q": QUANTIZATION,
            "kv-cache-dtype": KV_DTYPE,
            "tensor-parallel-size": TENSOR,
            "tp": TENSOR,
            "pipeline-parallel-size": PIPELINE,
            "pp": PIPELINE,
            "data-parallel-size": DATA,
            "dp": DATA,
            "max-num-seqs": SEQUENCES,
            "max-num-batched-tokens": BATCHED_TOKENS,
            "max-model-len": MODEL_LENGTH,
            "gpu-memory-utilization": MEMORY,
            "speculative-config": SPECULATIVE,
            "kv-transfer-config": KV_TRANSFER,
        },
        switches={
            "enable-expert-parallel": EXPERT_SWITCH,
            "enable-prefix-caching": PREFIX,
            "no-enable-prefix-caching": "-" + PREFIX,
            "enable-chunked-prefill": CHUNKED,
            "no-enable-chunked-prefill": "-" + CHUNKED,
            "enforce-eager": EAGER,
            "enable-eplb": BALANCER,
        },
        standard=(PREFIX, CHUNKED),
        defaults={**_ONE_GPU, MEMORY: "0.9", KV: "bf16", ROLE: "unified"},
    ),
    Program(
        engine="sglang",
        starts=(("sglang.launch_server",), ("sglang", "serve"), ("dynamo.sglang",)),
        options={
            "model-path": MODEL,
            "model": MODEL,
            "quantization": QUANTIZATION,
            "kv-cache-dtype": KV_DTYPE,
            "tp-size": TENSOR,
            "tensor-parallel-size": TENSOR,
            "tp": TENSOR,
            "pp-size": PIPELINE,
            "pipeline-parallel-size": PIPELINE,
            "pp": PIPELINE,
            "dp-size": DATA,
            "data-parallel-size": DATA,
            "dp": DATA,
            "attn-dp-size": ATTENTION_DATA,
            "ep-size": EXPERT,
            "expert-parallel-size": EXPERT,
            "ep": EXPERT,
            "max-running-requests": SEQUENCES,
            "chunked-prefill-size": BATCHED_TOKENS,
            "context-length": MODEL_LENGTH,
            "mem-fraction-static": MEMORY,
            "speculative-algorithm": SPECULATIVE,
            "disaggregation-mode": ROLE,
        },
        switches={
            "enable-dp-attention": ATTENTION_DATA,
            "disable-radix-cache": "-" + PREFIX,
            "disable-cuda-graph": EAGER,
            "enable-eplb": BALANCER,
        },
        standard=(PREFIX, CHUNKED),
        defaults={**_ONE_GPU, KV: "bf16", ROLE: "unified"},
    ),
    Program(
        engine="tensorrt-llm",
        starts=(("trtllm-serve",), ("dynamo.trtllm",)),
        options={
            "model": MODEL,
            "model-path": MODEL,
            "kv-cache-dtype": KV_DTYPE,
            "tp-size": TENSOR,
            "tensor-parallel-size": TENSOR,
            "pp-size": PIPELINE,
            "pipeline-parallel-size": PIPELINE,
            "ep-size": EXPERT,
            "moe-expert-parallel-size": EXPERT,
            "max-batch-size": SEQUENCES,
            "max-num-tokens": BATCHED_TOKENS,
            "max-seq-len": MODEL_LENGTH,
            "kv-cache-free-gpu-memory-fraction": MEMORY,
        },
        switches={"enable-chunked-prefill": CHUNKED},
        standard=(PREFIX,),
        defaults={
            **_ONE_GPU,
            SEQUENCES: "2048",
            BATCHED_TOKENS: "8192",
            MEMORY: "0.9",
            ROLE: "unified",
        },
    ),
)
"""Flags of vLLM 0.33, SGLang 0.5.23 and trtllm-serve with the names they had before."""

NUMBERS = frozenset({TENSOR, PIPELINE, DATA, EXPERT, SEQUENCES, BATCHED_TOKENS, MODEL_LENGTH})
_SUFFIXES = {"k": 1e3, "m": 1e6, "g": 1e9, "K": 2**10, "M": 2**20, "G": 2**30}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgKMG]?)")
OFF = frozenset({"", "none", "null", "false", "0"})

SERVING = frozenset({"serve", "mm_embedding_serve"})
SUBCOMMANDS = SERVING | {"disaggregated", "disaggregated_mpi_worker"}
"""Of trtllm-serve: those that a model follows, and the routers, which have a file of their own."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a command line says: the engine and attributes of `joulewise.instance.info`."""

    engine: str
    said: Mapping[str, str]


def parse_command(command: str | Sequence[str]) -> Command | None:
    """A command line, as in a shell or as the kernel keeps it; None if of no engine known."""
    words = _words(command) if isinstance(command, str) else list(command)
    for program in PROGRAMS:
        rest = _after_start(program, words)
        if rest is not None:
            return Command(program.engine, _said(program, rest))
    return None


def program_of(engine: str) -> Program | None:
    """How an engine is started."""
    return next((program for program in PROGRAMS if program.engine == engine), None)


def number(text: str) -> str | None:
    """A count as decimal digits; `8k` is 8000 and `8K` 8192, as vLLM reads them. None if `auto`."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    return str(int(float(match[1]) * _SUFFIXES.get(match[2], 1)))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an open quote
        return command.split()


def _after_start(program: Program, words: list[str]) -> list[str] | None:
    """The words after those that start this engine."""
    names = [word.rpartition("/")[2] for word in words]
    for start in program.starts:
        for index in range(len(names) - len(start) + 1):
            if tuple(names[index : index + len(start)]) == start:
                return words[index + len(start) :]
    return None


def _said(program: Program, words: Sequence[str]) -> dict[str, str]:
    values = dict(_options(program, words))
    if model := _positional_model(words):
        values.setdefault(MODEL, model)
    return read_options(program, values)


def _positional_model(words: Sequence[str]) -> str | None:
    """The model that stands before all options; a subcommand is none, and may have one itself."""
    if words and words[0] in SUBCOMMANDS:
        words = words[1:] if words[0] in SERVING else ()
    return words[0] if words and not words[0].startswith("-") else None


def _options(program: Program, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(what an option means, its value); of a repeated option the last counts."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            continue
        name, has_value, value = word.lstrip("-").partition("=")
        name = name.replace("_", "-")
        if name in program.options:
            yield program.options[name], value if has_value else next(rest, "")
        elif name in program.switches and value.lower() not in OFF - {""}:
            yield program.switches[name], "true"


def read_options(program: Program, values: Mapping[str, str]) -> dict[str, str]:
    """Attributes of `joulewise.instance.info` from options by their meaning."""
    said = {name: read for name in NUMBERS if (read := number(values.get(name, "")))}
    if values.get(MODEL):
        said[MODEL] = values[MODEL]
    if share := _share(values.get(MEMORY, "")):
        said[MEMORY] = share
    if weights := weights_of(values.get(QUANTIZATION)):
        said[WEIGHTS] = weights
    if kv := kv_of(values.get(KV_DTYPE)):
        said[KV] = kv
    if role := _role(values):
        said[ROLE] = role
    _combine(said, values)
    said[FEATURES] = ",".join(sorted(_features(program, values)))
    return said


def _combine(said: dict[str, str], values: Mapping[str, str]) -> None:
    """Ranks that follow from several options: experts over all GPUs, attention split by data."""
    tensor, data = int(said.get(TENSOR, "1")), int(said.get(DATA, "1"))
    if EXPERT_SWITCH in values:
        said[EXPERT] = str(tensor * data)
    attention = values.get(ATTENTION_DATA, "")
    ranks = int(number(attention) or "1") if attention != "true" else data
    if ranks > 1:
        said[TENSOR], said[DATA] = str(max(1, tensor // ranks)), str(ranks)
        if SEQUENCES in said:
            said[SEQUENCES] = str(max(1, int(said[SEQUENCES]) // ranks))


def _features(program: Program, values: Mapping[str, str]) -> set[str]:
    features = set(program.standard)
    features |= {name for name in (PREFIX, CHUNKED, EAGER, BALANCER) if name in values}
    features -= {name for name in (PREFIX, CHUNKED) if "-" + name in values}
    if values.get(SPECULATIVE, "").lower() not in OFF:
        features.add(SPECULATIVE)
    if values.get(BATCHED_TOKENS) == "-1":
        features.discard(CHUNKED)
    return features


def _role(values: Mapping[str, str]) -> str | None:
    roles = {"kv_producer": "prefill", "kv_consumer": "decode", "kv_both": "unified"}
    try:
        transfer: Any = json.loads(values.get(KV_TRANSFER) or "{}")
    except ValueError:
        transfer = {}
    told = roles.get(str(transfer.get("kv_role"))) if isinstance(transfer, dict) else None
    return values[ROLE] if values.get(ROLE) in {"prefill", "decode"} else told


def _share(text: str) -> str | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return f"{share:g}" if 0.0 < share <= 1.0 else None
