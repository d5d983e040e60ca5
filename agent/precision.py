"""The words for precision (bf16, fp16, fp8, nvfp4, mxfp4, int8, int4) by flags and by names."""

from __future__ import annotations

import re

from agent.engines.words import KV_PRECISION, WEIGHT_PRECISION

QUANTIZATION = {
    **WEIGHT_PRECISION,
    "fp8_per_tensor": "fp8",
    "fp8_per_block": "fp8",
    "fp8_per_channel": "fp8",
    "w8a8_fp8": "fp8",
    "modelopt": "fp8",
    "modelopt_fp8": "fp8",
    "modelopt_fp4": "nvfp4",
    "nvfp4_per_token": "nvfp4",
    "nvfp4_online": "nvfp4",
    "petit_nvfp4": "nvfp4",
    "gpt_oss_mxfp4": "mxfp4",
    "quark_mxfp4": "mxfp4",
    "w8a8_int8": "int8",
    "int8_per_channel_weight_only": "int8",
    "awq": "int4",
    "awq_marlin": "int4",
    "auto_awq": "int4",
    "gptq": "int4",
    "gptq_marlin": "int4",
    "auto_gptq": "int4",
    "moe_wna16": "int4",
    "w4afp8": "int4",
    "float8": "fp8",
}
"""Values of --quantization and of `quant_method`; what may mean several precisions is not here."""

_NAMES = (
    (re.compile(r"nvfp4|(?<![a-z])fp4", re.IGNORECASE), "nvfp4"),
    (re.compile(r"mxfp4|gpt-oss", re.IGNORECASE), "mxfp4"),
    (re.compile(r"fp8|w8a8-dynamic", re.IGNORECASE), "fp8"),
    (re.compile(r"w8a8|w8a16|int8", re.IGNORECASE), "int8"),
    (re.compile(r"awq|gptq|w4a16|int4|4bit", re.IGNORECASE), "int4"),
    (re.compile(r"bf16", re.IGNORECASE), "bf16"),
    (re.compile(r"deepseek-(?:r1|v3)(?!.*distill)|kimi-k2", re.IGNORECASE), "fp8"),
)
"""What a checkpoint's name tells, the surest first; the last are models released in FP8."""


def weights_of(quantization: str | None) -> str | None:
    """The precision of weights by a quantization's name; None where it does not tell."""
    return QUANTIZATION.get((quantization or "").lower().replace("-", "_"))


def weights_by_name(model: str) -> str | None:
    """The precision of weights by the name of the checkpoint; None where it does not tell."""
    name = model.rstrip("/").rpartition("/")[2]
    return next((word for pattern, word in _NAMES if pattern.search(name)), None)


def kv_of(dtype: str | None) -> str | None:
    """The precision of the KV cache by its flag; None for `auto` and what is not known."""
    return KV_PRECISION.get((dtype or "").lower().replace("-", "_"))
