"""DCGM's fields as dcgm-exporter names them, from 2.x to the renames of DCGM 4.6: unit, meaning.

A name is whatever the exporter's CSV says, so old and new names may meet on one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Scale = tuple[float, float]
"""What a number is multiplied and divided by, so that whole numbers stay exact."""

ONE: Scale = (1, 1)
PERCENT: Scale = (1, 100)
MILLI: Scale = (1, 1_000)
NANO: Scale = (1, 1_000_000_000)
KILO: Scale = (1_000, 1)
MEGA: Scale = (1_000_000, 1)
MEBI: Scale = (1_048_576, 1)
NVLINK_MB: Scale = (1_024_000, 1)
"""The "MB/s" of NVLink throughput is KiB/s divided by 1000; a rate, though declared a counter."""

LINKS = range(18)
SENT = {"network.io.direction": "transmit"}
RECEIVED = {"network.io.direction": "receive"}
BOARD = {"hw.type": "gpu", "joulewise.scope": "gpu"}


@dataclass(frozen=True, slots=True)
class Field:
    """Fields that mean one signal, newest name first: the first that a GPU has stands for it.

    Names stand without `DCGM_FI_`; lower-case ones are the exporter's old namespace and complete.
    Values `of_slice` differ between MIG slices, all others are the board's. Fields of one signal
    and the same attributes are added where `added`.
    """

    signal: str
    names: tuple[str, ...]
    scale: Scale = ONE
    attributes: Mapping[str, str] = field(default_factory=dict)
    of_slice: bool = False
    zero_is_absent: bool = False
    added: bool = False


def _activity(name: str, *names: str) -> Field:
    return Field(f"joulewise.gpu.{name}", names, of_slice=True)


def _throttle(reason: str, *names: str, added: bool = False) -> Field:
    pairs = {"joulewise.reason": reason}
    return Field("joulewise.gpu.throttle.time", names, NANO, pairs, added=added)


def _errors(severity: str, *names: str) -> Field:
    return Field("hw.errors", names, ONE, {"hw.type": "gpu", "error.type": severity})


def _link_errors(kind: str, *names: str) -> Field:
    return Field("joulewise.gpu.nvlink.errors", names, ONE, {"error.type": kind})


def _rate(signal: str, scale: Scale, direction: Mapping[str, str], *names: str) -> Field:
    return Field(f"joulewise.gpu.{signal}.rate", names, scale, direction)


def _remaps(state: str, severity: Mapping[str, str], *names: str) -> Field:
    return Field("joulewise.gpu.row_remaps", names, ONE, {"joulewise.state": state, **severity})


def _of_each_link() -> Iterator[Field]:
    """Fields with the link in their name, as before links became entities with a label `nvlink`."""
    for link in LINKS:
        label = {"joulewise.nvlink.link": str(link)}
        for way, direction in (("TX", SENT), ("RX", RECEIVED)):
            where = {**direction, **label}
            yield _rate("nvlink", ONE, where, f"PROF_NVLINK_L{link}_{way}_BYTES")
            names = [f"DEV_NVLINK_{way}_{word}_L{link}" for word in ("THROUGHPUT", "BANDWIDTH")]
            yield _rate("nvlink", NVLINK_MB, where, *names)
        names = [f"DEV_NVLINK_{word}_L{link}" for word in ("THROUGHPUT", "BANDWIDTH")]
        yield _rate("nvlink", NVLINK_MB, label, *names)
        for kind in ("CRC_FLIT", "CRC_DATA", "REPLAY", "RECOVERY"):
            names = [
                f"DEV_NVLINK_{kind}_ERROR_L{link}_TOTAL",
                f"DEV_NVLINK_{kind}_ERROR_COUNT_L{link}",
            ]
            pairs = {"error.type": kind.lower(), **label}
            yield Field("joulewise.gpu.nvlink.errors", tuple(names), ONE, pairs)


FIELDS: tuple[Field, ...] = (
    Field(
        "hw.energy",
        ("DEV_TOTAL_ENERGY_CONSUMPTION", "dcgm_total_energy_consumption"),
        MILLI,
        BOARD,
    ),
    Field(
        "hw.power",
        (
            "DEV_BOARD_POWER_WATTS",
            "DEV_POWER_USAGE",
            "dcgm_power_usage",
            "DEV_BOARD_POWER_RAW_WATTS",
            "DEV_POWER_USAGE_INSTANT",
        ),
        ONE,
        BOARD,
    ),
    Field(
        "joulewise.gpu.power.limit",
        (
            "DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS",
            "DEV_ENFORCED_POWER_LIMIT",
            "DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS",
            "DEV_POWER_MGMT_LIMIT",
        ),
    ),
    Field(
        "hw.gpu.utilization",
        ("DEV_GPU_UTIL_RATIO", "DEV_GPU_UTIL", "dcgm_gpu_utilization"),
        PERCENT,  # 0 to 100 under its new name as well
        {"hw.gpu.task": "general"},
        of_slice=True,
    ),
    Field("hw.gpu.memory.usage", ("DEV_FB_USED", "dcgm_fb_used"), MEBI, of_slice=True),
    Field("hw.gpu.memory.limit", ("DEV_FB_TOTAL",), MEBI, of_slice=True),
    Field("hw.gpu.io", ("PROF_PCIE_TX_BYTES_TOTAL",), ONE, SENT),
    Field("hw.gpu.io", ("PROF_PCIE_RX_BYTES_TOTAL",), ONE, RECEIVED),
    # Rates, although old CSVs declare them counters. TX is from the device to the host.
    _rate("io", ONE, SENT, "PROF_PCIE_TX_BYTES"),
    _rate("io", ONE, RECEIVED, "PROF_PCIE_RX_BYTES"),
    _rate("io", KILO, SENT, "DEV_PCIE_TX_THROUGHPUT"),
    _rate("io", KILO, RECEIVED, "DEV_PCIE_RX_THROUGHPUT"),
    Field(
        "hw.temperature",
        ("DEV_GPU_TEMP_CELSIUS", "DEV_GPU_TEMP", "dcgm_gpu_temp"),
        ONE,
        {"hw.sensor_location": "gpu"},
    ),
    Field(
        "hw.temperature",
        ("DEV_MEMORY_TEMP_CELSIUS", "DEV_MEMORY_TEMP", "dcgm_memory_temp"),
        ONE,
        {"hw.sensor_location": "memory"},
        zero_is_absent=True,  # boards with GDDR have no sensor and say 0
    ),
    _errors("corrected", "DEV_ECC_SBE_VOL_TOTAL", "DEV_ECC_SBE_AGG_TOTAL"),
    _errors("uncorrected", "DEV_ECC_DBE_VOL_TOTAL", "DEV_ECC_DBE_AGG_TOTAL"),
    _activity("engine.active", "PROF_GR_ENGINE_UTIL_RATIO", "PROF_GR_ENGINE_ACTIVE"),
    _activity("sm.active", "PROF_SM_UTIL_RATIO", "PROF_SM_ACTIVE"),
    _activity("sm.occupancy", "PROF_SM_OCCUPANCY_RATIO", "PROF_SM_OCCUPANCY"),
    _activity("tensor.active", "PROF_TENSOR_UTIL_RATIO", "PROF_PIPE_TENSOR_ACTIVE"),
    _activity("dram.active", "PROF_DRAM_UTIL_RATIO", "PROF_DRAM_ACTIVE"),
    Field("joulewise.gpu.clock.sm", ("DEV_SM_CLOCK", "dcgm_sm_clock"), MEGA),
    Field("joulewise.gpu.clock.memory", ("DEV_MEM_CLOCK", "dcgm_memory_clock"), MEGA),
    # Nanoseconds, although the exporter's CSV said microseconds until the end of 2025.
    _throttle("power_cap", "DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP_NS", "DEV_POWER_VIOLATION"),
    _throttle(
        "thermal_sw", "DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS", "DEV_THERMAL_VIOLATION"
    ),
    _throttle("thermal_hw", "DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS"),
    _throttle("power_brake", "DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS"),
    _throttle("sync_boost", "DEV_CLOCKS_EVENT_REASON_SYNC_BOOST_NS", "DEV_SYNC_BOOST_VIOLATION"),
    _throttle("other", "DEV_BOARD_LIMIT_VIOLATION", added=True),
    _throttle("other", "DEV_RELIABILITY_VIOLATION", added=True),
    Field(
        "joulewise.gpu.nvlink.io",
        ("DEV_NVLINK_TX_BYTES_TOTAL", "DEV_NVLINK_COUNT_TX_BYTES"),
        ONE,
        SENT,
    ),
    Field(
        "joulewise.gpu.nvlink.io",
        ("DEV_NVLINK_RX_BYTES_TOTAL", "DEV_NVLINK_COUNT_RX_BYTES"),
        ONE,
        RECEIVED,
    ),
    _rate("nvlink", ONE, SENT, "PROF_NVLINK_TX_BYTES", "PROF_NVLINK_TX_BYTES_PER_LINK"),
    _rate("nvlink", ONE, RECEIVED, "PROF_NVLINK_RX_BYTES", "PROF_NVLINK_RX_BYTES_PER_LINK"),
    _rate(
        "nvlink",
        NVLINK_MB,
        SENT,
        "DEV_NVLINK_TX_THROUGHPUT_TOTAL",
        "DEV_NVLINK_TX_BANDWIDTH_TOTAL",
        "DEV_NVLINK_TX_THROUGHPUT_PER_LINK",
    ),
    _rate(
        "nvlink",
        NVLINK_MB,
        RECEIVED,
        "DEV_NVLINK_RX_THROUGHPUT_TOTAL",
        "DEV_NVLINK_RX_BANDWIDTH_TOTAL",
        "DEV_NVLINK_RX_THROUGHPUT_PER_LINK",
    ),
    _rate(
        "nvlink",
        NVLINK_MB,
        {},
        "DEV_NVLINK_THROUGHPUT_TOTAL",
        "DEV_NVLINK_BANDWIDTH_TOTAL",
        "DEV_NVLINK_THROUGHPUT_PER_LINK",
        "dcgm_nvlink_bandwidth_total",
    ),
    _link_errors(
        "crc_flit",
        "DEV_NVLINK_CRC_FLIT_ERROR_TOTAL",
        "DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
        "DEV_NVLINK_CRC_FLIT_ERROR_PER_LINK_TOTAL",
    ),
    _link_errors(
        "crc_data",
        "DEV_NVLINK_CRC_DATA_ERROR_TOTAL",
        "DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
        "DEV_NVLINK_CRC_DATA_ERROR_PER_LINK_TOTAL",
    ),
    _link_errors(
        "replay",
        "DEV_NVLINK_REPLAY_ERROR_TOTAL",
        "DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
        "DEV_NVLINK_REPLAY_ERROR_PER_LINK_TOTAL",
        "DEV_NVLINK_REPLAY_TOTAL",
        "DEV_NVLINK_ERROR_DL_REPLAY",
    ),
    _link_errors(
        "recovery",
        "DEV_NVLINK_RECOVERY_ERROR_TOTAL",
        "DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
        "DEV_NVLINK_RECOVERY_ERROR_PER_LINK_TOTAL",
        "DEV_NVLINK_RECOVERY_TOTAL",
        "DEV_NVLINK_ERROR_DL_RECOVERY",
        "DEV_NVLINK_RECOVERY_EVENT_TOTAL",
        "DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS",
    ),
    _link_errors(
        "recovery_failed",
        "DEV_NVLINK_RECOVERY_FAILED_TOTAL",
        "DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS",
    ),
    _link_errors(
        "recovery_successful",
        "DEV_NVLINK_RECOVERY_SUCCESSFUL_TOTAL",
        "DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS",
    ),
    _link_errors("crc", "DEV_NVLINK_CRC_ERROR_TOTAL", "DEV_NVLINK_ERROR_DL_CRC"),
    _link_errors("ecc", "DEV_NVLINK_ECC_ERROR_TOTAL", "DEV_NVLINK_ECC_DATA_ERROR_COUNT_TOTAL"),
    _link_errors(
        "rx_malformed",
        "DEV_NVLINK_RX_PACKET_MALFORMED_TOTAL",
        "DEV_NVLINK_COUNT_RX_MALFORMED_PACKET_ERRORS",
    ),
    _link_errors(
        "rx_overrun",
        "DEV_NVLINK_RX_PACKET_DROPPED_TOTAL",
        "DEV_NVLINK_COUNT_RX_BUFFER_OVERRUN_ERRORS",
    ),
    _link_errors("rx", "DEV_NVLINK_RX_ERROR_TOTAL", "DEV_NVLINK_COUNT_RX_ERRORS"),
    _link_errors(
        "rx_remote", "DEV_NVLINK_RX_REMOTE_ERROR_TOTAL", "DEV_NVLINK_COUNT_RX_REMOTE_ERRORS"
    ),
    _link_errors(
        "rx_general", "DEV_NVLINK_RX_GENERAL_ERROR_TOTAL", "DEV_NVLINK_COUNT_RX_GENERAL_ERRORS"
    ),
    _link_errors(
        "rx_symbol", "DEV_NVLINK_RX_SYMBOL_ERROR_TOTAL", "DEV_NVLINK_COUNT_RX_SYMBOL_ERRORS"
    ),
    _link_errors(
        "integrity",
        "DEV_NVLINK_INTEGRITY_ERROR_TOTAL",
        "DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS",
    ),
    _link_errors(
        "effective", "DEV_NVLINK_EFFECTIVE_ERROR_TOTAL", "DEV_NVLINK_COUNT_EFFECTIVE_ERRORS"
    ),
    _link_errors("tx_discard", "DEV_NVLINK_COUNT_TX_DISCARDS"),
    *_of_each_link(),
    Field("joulewise.gpu.pcie.replays", ("DEV_PCIE_REPLAY_TOTAL", "DEV_PCIE_REPLAY_COUNTER")),
    _remaps(
        "done",
        {"error.type": "uncorrected"},
        "DEV_ROW_REMAP_UNCORRECTABLE_TOTAL",
        "DEV_UNCORRECTABLE_REMAPPED_ROWS",
    ),
    _remaps(
        "done",
        {"error.type": "corrected"},
        "DEV_ROW_REMAP_CORRECTABLE_TOTAL",
        "DEV_CORRECTABLE_REMAPPED_ROWS",
    ),
    _remaps("pending", {}, "DEV_ROW_REMAP_PENDING"),
    _remaps("failed", {}, "DEV_ROW_REMAP_FAILED", "DEV_ROW_REMAP_FAILURE"),
)

XID = ("DEV_XID_ERROR", "DEV_XID_ERRORS", "dcgm_xid_errors")
"""The code of the last XID; 0 or absent until the first."""

THROTTLE = ("DEV_CLOCKS_EVENT_REASONS", "DEV_CLOCK_THROTTLE_REASONS")
THROTTLE_BITS = {
    "power_cap": 0x4,
    "sync_boost": 0x10,
    "thermal_sw": 0x20,
    "thermal_hw": 0x40,
    "power_brake": 0x80,
    "other": 0x108,
}
"""Bits of the mask by reason (nvml.h). Idle (0x1) and chosen clocks (0x2) hold nothing back;
hardware slowdown (0x8) is set along with its cause and is another reason only alone."""
HARDWARE_SLOWDOWN, ITS_CAUSES = 0x8, 0xC0

FRAMEBUFFER = ("DEV_FB_USED", "DEV_FB_FREE", "DEV_FB_RESERVED")
"""Used leaves out the reserve, so that the three together are the whole framebuffer."""

HOST_POWER = {
    "cpu": ("DEV_CPU_POWER_WATTS", "DEV_CPU_POWER_UTIL_CURRENT"),
    "module": ("DEV_MODULE_POWER_UTIL_CURRENT",),
}
"""Grace: watts of each CPU, whose rows carry a label `cpu` and no GPU."""


def _all_names() -> Iterator[str]:
    yield from (name for entry in FIELDS for name in entry.names)
    yield from (*XID, *THROTTLE, *FRAMEBUFFER)
    yield from (name for names in HOST_POWER.values() for name in names)


NAMES: dict[str, str] = {
    name if name.startswith("dcgm_") else f"DCGM_FI_{name}": name for name in _all_names()
}
"""Every name on a page that means something to us, with the key the table knows it by."""
