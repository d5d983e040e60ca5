"""What engines call the same things, lower-cased, in our words; shared by the tables."""

from __future__ import annotations

YES = ("true", "1", "yes")

FINISH = {
    "stop": "stop",
    "length": "length",
    "abort": "abort",
    "cancelled": "abort",
    "canceled": "abort",
    "error": "error",
    "": "other",
}

WEIGHT_PRECISION = {
    "bfloat16": "bf16",
    "bf16": "bf16",
    "float16": "fp16",
    "fp16": "fp16",
    "fp8": "fp8",
    "fp8_block_scales": "fp8",
    "fp8_per_channel_per_token": "fp8",
    "nvfp4": "nvfp4",
    "nvfp4_awq": "nvfp4",
    "mxfp4": "mxfp4",
    "w4a8_mxfp4_fp8": "mxfp4",
    "w4a16_mxfp4": "mxfp4",
    "w8a16": "int8",
    "w8a8_sq_per_channel": "int8",
    "w4a16": "int4",
    "w4a16_awq": "int4",
    "w4a8_awq": "int4",
    "w4a16_gptq": "int4",
}

KV_PRECISION = {
    "bfloat16": "bf16",
    "bf16": "bf16",
    "float16": "fp16",
    "fp16": "fp16",
    "fp8": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "fp8_inc": "fp8",
    "fp8_ds_mla": "fp8",
    "nvfp4": "nvfp4",
    "int8": "int8",
}
