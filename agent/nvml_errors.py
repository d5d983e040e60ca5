"""NVML's errors: which say that a GPU or the driver is gone, and what a person does next."""

from __future__ import annotations

from typing import Any

from agent.errors import NoData

LASTING = (
    "NOT_SUPPORTED",
    "NO_PERMISSION",
    "NOT_FOUND",
    "INVALID_ARGUMENT",
    "FUNCTION_NOT_FOUND",
    "ARGUMENT_VERSION_MISMATCH",
    "VGPU_ECC_NOT_SUPPORTED",
    "DEPRECATED",
)
"""Answers that will be the same next time: this GPU, driver or user does not have it."""
GPU_GONE = ("GPU_IS_LOST", "RESET_REQUIRED")
DRIVER_GONE = ("UNINITIALIZED", "DRIVER_NOT_LOADED", "LIB_RM_VERSION_MISMATCH")

NEXT_STEPS = {
    "LIBRARY_NOT_FOUND": "no NVIDIA driver is installed here (libnvidia-ml.so.1); on a GPU node "
    "install it, in a container use the NVIDIA runtime, elsewhere set gpu.nvml = false",
    "DRIVER_NOT_LOADED": "the kernel module is not loaded; see `dmesg | grep -i nvrm`",
    "NO_PERMISSION": "let the agent's user open /dev/nvidia*, often by the groups video and render",
    "LIB_RM_VERSION_MISMATCH": "the driver was upgraded under a running kernel module; reload the "
    "module or reboot, then restart the agent",
    "GPU_IS_LOST": "the GPU fell off the bus; drain the node and see `dmesg | grep -i xid`",
    "RESET_REQUIRED": "drain the node and run `nvidia-smi --gpu-reset`",
}


class NvmlError(NoData):
    """GPUs cannot be read through NVML now; the message says why and what to do."""


def translated(nvml: Any, error: Exception, doing: str) -> NvmlError:
    """NVML's error as ours, with the next step."""
    name = next((name for name in NEXT_STEPS if is_one(nvml, error, (name,))), "")
    hint = NEXT_STEPS.get(name, "see `nvidia-smi` for what the driver says")
    return NvmlError(f"{doing}: {error}; {hint}")


def is_one(nvml: Any, error: Exception, names: tuple[str, ...]) -> bool:
    """Whether the error is one of those named, without their `NVML_ERROR_`."""
    return getattr(error, "value", None) in codes(nvml, names)


def codes(nvml: Any, names: tuple[str, ...]) -> frozenset[int]:
    """NVML's numbers of the errors named."""
    return frozenset(getattr(nvml, f"NVML_ERROR_{name}") for name in names)
