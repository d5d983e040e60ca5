"""Five nodes with a story each, in figures close to measured ones.

Llama 3.3 70B BF16 on four H100 and gpt-oss-120b on B200: ML.ENERGY leaderboard v3 (vLLM 0.11.1).
DeepSeek-R1 FP8 on eight B200 with TensorRT-LLM: aiconfigurator's silicon sample; its watts are ours.
"""

from __future__ import annotations

from advisor.summary import Deployment


def servings(serving):
    """The instances of the five nodes, made with the builder's `Serving`."""
    llama = {
        "host": "node-1",
        "product": "h100",
        "gpus": 4,
        "tensor": 4,
        "model": "meta-llama/Llama-3.3-70B-Instruct",
        "weights": "bf16",
        "max_sequences": 32,
        "tokens_per_s": 1517.65,
        "running": 31.5,
        "waiting": 60.0,
        "saturated": 0.95,
        "tpot_s": 0.0199,
        "ttft_s": 1.4,
        "power_w": 473.9,
        "idle_power_w": 113.6,
        "kv_used": 0.12,
        "input_tokens": 300.0,
        "output_tokens": 413.0,
    }
    oss = {"product": "b200", "input_tokens": 300.0, "output_tokens": 1700.0, "idle_power_w": 165.0}
    light = {
        **oss,
        "host": "node-3",
        "gpus": 2,
        "tensor": 2,
        "tokens_per_s": 1701.2,
        "running": 8.0,
        "tpot_s": 0.00466,
        "power_w": 534.0,
        "kv_used": 0.02,
    }
    full = {
        **oss,
        "host": "node-5",
        "tokens_per_s": 11888.6,
        "running": 250.0,
        "tpot_s": 0.0207,
        "power_w": 952.1,
        "max_sequences": 512,
        "kv_used": 0.45,
    }
    return [
        *(serving(id=f"node-1:800{i}", **llama) for i in range(2)),
        serving(
            id="node-2:8000",
            host="node-2",
            gpus=8,
            tensor=8,
            engine="tensorrt-llm",
            engine_version="1.1.0",
            model="deepseek-ai/DeepSeek-R1",
            weights="fp8",
            max_sequences=512,
            tokens_per_s=6001.4,
            running=128.0,
            tpot_s=0.0205,
            ttft_s=0.88,
            power_w=720.0,
            idle_power_w=165.0,
            kv_used=0.35,
            input_tokens=1024.0,
            output_tokens=1024.0,
        ),
        *(serving(id=f"node-3:800{i}", **light) for i in range(4)),
        serving(
            id="node-4:8000",
            host="node-4",
            product="h100",
            gpus=8,
            tensor=8,
            model="meta-llama/Llama-3.1-8B-Instruct",
            weights="bf16",
            tokens_per_s=900.0,
            running=6.0,
            tpot_s=0.006,
            power_w=250.0,
            idle_power_w=113.6,
            busy_hours=tuple(day * 24 + 9 for day in range(5)),
            kv_used=0.01,
            input_tokens=400.0,
            output_tokens=300.0,
        ),
        *(serving(id=f"node-5:800{i}", **full) for i in range(8)),
    ]


def deployments() -> tuple[Deployment, ...]:
    """What the owners declared."""
    return (
        Deployment(
            "chat",
            ("node-1:8000", "node-1:8001"),
            "meta-llama/Llama-3.3-70B-Instruct",
            tpot_p95_s=0.05,
            ttft_p95_s=4.0,
            team="support",
            declared=True,
        ),
        Deployment(
            "reasoning",
            ("node-2:8000",),
            "deepseek-ai/DeepSeek-R1",
            tpot_p95_s=0.05,
            ttft_p95_s=4.0,
            team="research",
            declared=True,
        ),
        Deployment(
            "assist",
            tuple(f"node-3:800{i}" for i in range(4)),
            "openai/gpt-oss-120b",
            tpot_p95_s=0.02,
            team="product",
            declared=True,
        ),
        Deployment("batch", ("node-4:8000",), "meta-llama/Llama-3.1-8B-Instruct", team="research"),
        Deployment(
            "search",
            tuple(f"node-5:800{i}" for i in range(8)),
            "openai/gpt-oss-120b",
            tpot_p95_s=0.05,
            team="product",
            declared=True,
            usd_per_million_output_tokens_sold=0.6,
        ),
    )
