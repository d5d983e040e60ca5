"""Simulated fleets: the story's nodes, and fleets drawn by a seed whose right advice is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from simulator import curves
from simulator.demand import ClosedDemand, Demand, HourlyBurst, Lengths, OpenDemand, Week
from simulator.instance import SERVED, Instance

GPUS_A_NODE = 8
_FIRST_PORT = 8000
_ENGINE_VERSIONS = {"vllm": "0.33.0", "trtllm": "1.2.1"}
_INPUT_TOKENS = {"lm-arena-chat": 300.0, "gpqa": 250.0}
"""Prompt lengths are not published with these tasks; these are assumed."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a node's instances are for: a deployment, its latency promise, team and price."""

    deployment: str
    team: str
    ttft_p95_s: float
    tpot_p95_s: float
    usd_per_million_output_tokens: float


@dataclass(frozen=True)
class Node:
    """One host with its instances. `expected` is the lever of the right advice, None for none."""

    host_id: str
    gpu: str
    instances: tuple[Instance, ...]
    purpose: Purpose
    expected: str | None
    about: str


@dataclass(frozen=True)
class Fleet:
    """Nodes under one seed."""

    name: str
    seed: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """A node to be: its curve, the batch limit of each instance and the demand on it."""

    curve: str
    max_sequences: int
    demand: Demand
    purpose: Purpose
    expected: str | None
    about: str


def story(seed: str = "story") -> Fleet:
    """Five nodes: small batch limit, old precision, needless GPUs, an idle model, a healthy one."""
    chat = Purpose("assistant", "search", 5.0, 0.06, 0.9)
    reason = Purpose("reasoning", "research", 3.0, 0.03, 2.2)
    agents = Purpose("agents", "automation", 2.0, 0.03, 0.6)
    nightly = Purpose("evaluation", "quality", 10.0, 0.1, 0.9)
    coding = Purpose("coding", "developer-tools", 2.0, 0.05, 0.6)
    recipes = {
        "h100-01": _Recipe(
            "h100x4-llama-70b-bf16-vllm",
            32,
            ClosedDemand(users=96, think_s=5.0, week=Week(0.35, 0.75)),
            chat,
            "batch",
            "two TP4 replicas with a small batch limit and a queue",
        ),
        "b200-01": _Recipe(
            "b200x8-deepseek-r1-fp8-trtllm",
            128,
            OpenDemand(3.9, Week(0.25, 0.85)),
            reason,
            "precision",
            "FP8 on a GPU that computes NVFP4, busy",
        ),
        "b200-02": _Recipe(
            "b200x2-gpt-oss-120b-mxfp4-vllm",
            256,
            OpenDemand(2.7, Week(0.35, 0.8)),
            agents,
            "parallelism",
            "replicas of two GPUs at a load one GPU each would carry",
        ),
        "h100-02": _Recipe(
            "h100x4-llama-70b-bf16-vllm",
            256,
            HourlyBurst(1.0),
            nightly,
            "consolidation",
            "holds a model and idles most of the week",
        ),
        "b200-03": _Recipe(
            "b200x1-gpt-oss-120b-mxfp4-vllm",
            512,
            OpenDemand(6.0, Week(0.2, 0.9)),
            coding,
            None,
            "one GPU a replica, well batched, inside its promise",
        ),
    }
    return Fleet("story", seed, tuple(_node(host, recipe) for host, recipe in recipes.items()))


def drawn(seed: str) -> Fleet:
    """A healthy node and three of four others, with limits and loads of the seed's choosing."""
    random = Random(f"fleet:{seed}")
    kinds = random.sample([_small_batch, _old_precision, _needless_gpus, _idle], 3)
    kinds.append(_healthy)
    random.shuffle(kinds)
    recipes = [kind(random) for kind in kinds]
    nodes = [_node(f"{seed}-{i + 1:02d}", recipe) for i, recipe in enumerate(recipes)]
    return Fleet("drawn", seed, tuple(nodes))


def build(name: str, seed: str) -> Fleet:
    """A fleet by its name: story or drawn."""
    makers: dict[str, Callable[[str], Fleet]] = {"story": story, "drawn": drawn}
    if name not in makers:
        raise ValueError(f"no fleet is called {name!r}; there are {', '.join(makers)}")
    return makers[name](seed)


def deployments_toml(fleet: Fleet) -> str:
    """The advisor's `deployments.toml` of this fleet."""
    return "\n".join(_deployment(node) for node in fleet.nodes)


def command(instance: Instance) -> str:
    """The command line the instance would have been started with."""
    curve = instance.curve
    if curve.engine == "trtllm":
        return (
            f"trtllm-serve {curve.model} --backend pytorch --port {instance.port} "
            f"--tp_size {curve.tensor_parallel} --ep_size {curve.expert_parallel} "
            f"--max_batch_size {instance.max_sequences} "
            f"--max_num_tokens {instance.max_batched_tokens} "
            f"--max_seq_len {instance.served.max_model_length} "
            f"--kv_cache_free_gpu_memory_fraction {instance.memory_utilization}"
        )
    expert = " --enable-expert-parallel" if curve.expert_parallel > 1 else ""
    return (
        f"vllm serve {curve.model} --port {instance.port} "
        f"--tensor-parallel-size {len(instance.gpu_indices)}{expert} "
        f"--max-num-seqs {instance.max_sequences} "
        f"--max-num-batched-tokens {instance.max_batched_tokens} "
        f"--max-model-len {instance.served.max_model_length} "
        f"--gpu-memory-utilization {instance.memory_utilization}"
    )


def _node(host_id: str, recipe: _Recipe) -> Node:
    curve = curves.load()[recipe.curve]
    replicas = GPUS_A_NODE // curve.n_gpus
    instances = tuple(_instance(host_id, recipe, index) for index in range(replicas))
    return Node(host_id, curve.gpu, instances, recipe.purpose, recipe.expected, recipe.about)


def _instance(host_id: str, recipe: _Recipe, index: int) -> Instance:
    curve = curves.load()[recipe.curve]
    family = curve.sweep.split("|")[2]
    inputs = curve.input_tokens or _INPUT_TOKENS[curve.task]
    first = index * curve.n_gpus
    port = _FIRST_PORT + index
    return Instance(
        id=f"{host_id}:{port}",
        port=port,
        gpu_indices=tuple(range(first, first + curve.n_gpus)),
        curve=curve,
        served=SERVED[family, curve.weights],
        lengths=Lengths(float(inputs), curve.output_tokens),
        demand=recipe.demand,
        max_sequences=recipe.max_sequences,
        max_batched_tokens=8192,
        memory_utilization=0.9,
        engine_version=_ENGINE_VERSIONS[curve.engine],
    )


def _deployment(node: Node) -> str:
    purpose = node.purpose
    return "\n".join(
        (
            "[[deployment]]",
            f'name = "{purpose.deployment}"',
            f'selector = {{ host = "{node.host_id}" }}',
            f'team = "{purpose.team}"',
            f"ttft_p95_s = {purpose.ttft_p95_s}",
            f"tpot_p95_s = {purpose.tpot_p95_s}",
            f"usd_per_million_output_tokens_sold = {purpose.usd_per_million_output_tokens}",
            "",
        )
    )


def _pick(random: Random, among: Sequence[str]) -> str:
    return among[random.randrange(len(among))]


def _small_batch(random: Random) -> _Recipe:
    curve = _pick(random, ("h100x4-llama-70b-bf16-vllm", "b200x2-llama-70b-bf16-vllm"))
    limit = random.choice((16, 24, 32))
    users = round(limit * random.uniform(2.8, 4.0))
    return _Recipe(
        curve,
        limit,
        ClosedDemand(users, think_s=5.0, week=Week(random.uniform(0.2, 0.35), 0.8)),
        Purpose("support-chat", "search", 5.0, 0.06, 0.9),
        "batch",
        f"a batch limit of {limit} and a queue; the curve says what a larger batch brings",
    )


def _old_precision(random: Random) -> _Recipe:
    return _Recipe(
        "b200x8-deepseek-r1-fp8-trtllm",
        128,
        OpenDemand(random.uniform(2.8, 4.0), Week(random.uniform(0.1, 0.25), 0.85)),
        Purpose("analysis", "research", 3.0, 0.03, 2.2),
        "precision",
        "FP8 with a measured NVFP4 curve on the same GPUs",
    )


def _needless_gpus(random: Random) -> _Recipe:
    curve, requests = random.choice(
        (
            ("b200x2-gpt-oss-120b-mxfp4-vllm", random.uniform(2.0, 3.0)),
            ("h100x2-gpt-oss-120b-mxfp4-vllm", random.uniform(0.5, 0.7)),
        )
    )
    return _Recipe(
        curve,
        256,
        OpenDemand(requests, Week(random.uniform(0.2, 0.35), 0.8)),
        Purpose("tool-use", "automation", 2.0, 0.06, 0.6),
        "parallelism",
        "replicas of two GPUs at a load that a measured single GPU carries",
    )


def _idle(random: Random) -> _Recipe:
    curve = _pick(random, ("h100x4-llama-70b-bf16-vllm", "h100x8-qwen3-235b-a22b-fp8-vllm"))
    return _Recipe(
        curve,
        256,
        HourlyBurst(random.uniform(0.5, 1.5), hour=random.randrange(6, 18)),
        Purpose("benchmarks", "quality", 10.0, 0.1, 0.9),
        "consolidation",
        "a model that is asked for one hour of a working day",
    )


def _healthy(random: Random) -> _Recipe:
    return _Recipe(
        "b200x1-gpt-oss-120b-mxfp4-vllm",
        512,
        OpenDemand(random.uniform(5.0, 6.3), Week(random.uniform(0.1, 0.2), 0.9)),
        Purpose("completion", "developer-tools", 2.0, 0.05, 0.6),
        None,
        "one GPU a replica, well batched, inside its promise",
    )
