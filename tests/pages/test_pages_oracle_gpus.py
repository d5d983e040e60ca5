"""Readings of dcgm-exporter's pages against prometheus_client's parser and the units and names stated here.

Nothing of the reader under test makes the expected values: the rows below were written
from DCGM's documentation, each one signal with its fields, newest first, and their unit in ours.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

Pairs = frozenset[tuple[str, str]]
Key = tuple[str, Pairs]
Sample = tuple[str, dict[str, str], float]
MIB, NVLINK_MB = 1024.0**2, 1000.0 * 1024


@dataclass(frozen=True)
class Gpu:
    """A DCGM row: `unit` is what one of the page's units is in ours; slices are told apart or not."""

    signal: str
    names: str
    unit: float = 1.0
    own: str = ""
    slices: bool = False
    keep: Callable[[float], bool] = field(default=lambda value: True)


SENT, RECEIVED = "network.io.direction=transmit", "network.io.direction=receive"
GPU_ROWS = [
    Gpu("hw.energy", "DEV_TOTAL_ENERGY_CONSUMPTION dcgm_total_energy_consumption", 1e-3, "hw.type=gpu joulewise.scope=gpu"),
    Gpu("hw.power", "DEV_BOARD_POWER_WATTS DEV_POWER_USAGE dcgm_power_usage DEV_BOARD_POWER_RAW_WATTS DEV_POWER_USAGE_INSTANT", 1, "hw.type=gpu joulewise.scope=gpu"),
    Gpu("joulewise.gpu.power.limit", "DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS DEV_ENFORCED_POWER_LIMIT DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS DEV_POWER_MGMT_LIMIT"),
    Gpu("hw.gpu.utilization", "DEV_GPU_UTIL_RATIO DEV_GPU_UTIL dcgm_gpu_utilization", 1e-2, "hw.gpu.task=general", slices=True),
    Gpu("hw.gpu.memory.usage", "DEV_FB_USED dcgm_fb_used", MIB, slices=True),
    Gpu("hw.gpu.io", "PROF_PCIE_TX_BYTES_TOTAL", 1, SENT),
    Gpu("hw.gpu.io", "PROF_PCIE_RX_BYTES_TOTAL", 1, RECEIVED),
    Gpu("joulewise.gpu.io.rate", "PROF_PCIE_TX_BYTES", 1, SENT),
    Gpu("joulewise.gpu.io.rate", "PROF_PCIE_RX_BYTES", 1, RECEIVED),
    Gpu("joulewise.gpu.io.rate", "DEV_PCIE_TX_THROUGHPUT", 1e3, SENT),
    Gpu("joulewise.gpu.io.rate", "DEV_PCIE_RX_THROUGHPUT", 1e3, RECEIVED),
    Gpu("hw.temperature", "DEV_GPU_TEMP_CELSIUS DEV_GPU_TEMP dcgm_gpu_temp", 1, "hw.sensor_location=gpu"),
    Gpu("hw.temperature", "DEV_MEMORY_TEMP_CELSIUS DEV_MEMORY_TEMP dcgm_memory_temp", 1, "hw.sensor_location=memory", keep=lambda v: v != 0),
    Gpu("hw.errors", "DEV_ECC_SBE_VOL_TOTAL DEV_ECC_SBE_AGG_TOTAL", 1, "hw.type=gpu error.type=corrected"),
    Gpu("hw.errors", "DEV_ECC_DBE_VOL_TOTAL DEV_ECC_DBE_AGG_TOTAL", 1, "hw.type=gpu error.type=uncorrected"),
    Gpu("joulewise.gpu.engine.active", "PROF_GR_ENGINE_UTIL_RATIO PROF_GR_ENGINE_ACTIVE", slices=True),
    Gpu("joulewise.gpu.sm.active", "PROF_SM_UTIL_RATIO PROF_SM_ACTIVE", slices=True),
    Gpu("joulewise.gpu.sm.occupancy", "PROF_SM_OCCUPANCY_RATIO PROF_SM_OCCUPANCY", slices=True),
    Gpu("joulewise.gpu.tensor.active", "PROF_TENSOR_UTIL_RATIO PROF_PIPE_TENSOR_ACTIVE", slices=True),
    Gpu("joulewise.gpu.dram.active", "PROF_DRAM_UTIL_RATIO PROF_DRAM_ACTIVE", slices=True),
    Gpu("joulewise.gpu.clock.sm", "DEV_SM_CLOCK dcgm_sm_clock", 1e6),
    Gpu("joulewise.gpu.clock.memory", "DEV_MEM_CLOCK dcgm_memory_clock", 1e6),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP_NS DEV_POWER_VIOLATION", 1e-9, "joulewise.reason=power_cap"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS DEV_THERMAL_VIOLATION", 1e-9, "joulewise.reason=thermal_sw"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS", 1e-9, "joulewise.reason=thermal_hw"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS", 1e-9, "joulewise.reason=power_brake"),
    Gpu("joulewise.gpu.throttle.time", "DEV_CLOCKS_EVENT_REASON_SYNC_BOOST_NS DEV_SYNC_BOOST_VIOLATION", 1e-9, "joulewise.reason=sync_boost"),
    Gpu("joulewise.gpu.nvlink.io", "DEV_NVLINK_TX_BYTES_TOTAL DEV_NVLINK_COUNT_TX_BYTES", 1, SENT),
    Gpu("joulewise.gpu.nvlink.io", "DEV_NVLINK_RX_BYTES_TOTAL DEV_NVLINK_COUNT_RX_BYTES", 1, RECEIVED),
    Gpu("joulewise.gpu.nvlink.rate", "PROF_NVLINK_TX_BYTES PROF_NVLINK_TX_BYTES_PER_LINK", 1, SENT),
    Gpu("joulewise.gpu.nvlink.rate", "PROF_NVLINK_RX_BYTES PROF_NVLINK_RX_BYTES_PER_LINK", 1, RECEIVED),
    Gpu("joulewise.gpu.nvlink.rate", "DEV_NVLINK_TX_THROUGHPUT_TOTAL DEV_NVLINK_TX_BANDWIDTH_TOTAL DEV_NVLINK_TX_THROUGHPUT_PER_LINK", NVLINK_MB, SENT),
    Gpu("joulewise.gpu.nvlink.rate", "DEV_NVLINK_RX_THROUGHPUT_TOTAL DEV_NVLINK_RX_BANDWIDTH_TOTAL DEV_NVLINK_RX_THROUGHPUT_PER_LINK", NVLINK_MB, RECEIVED),
    Gpu("joulewise.gpu.nvlink.rate", "DEV_NVLINK_THROUGHPUT_TOTAL DEV_NVLINK_BANDWIDTH_TOTAL DEV_NVLINK_THROUGHPUT_PER_LINK dcgm_nvlink_bandwidth_total", NVLINK_MB),
    Gpu("joulewise.gpu.pcie.replays", "DEV_PCIE_REPLAY_TOTAL DEV_PCIE_REPLAY_COUNTER"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_UNCORRECTABLE_TOTAL DEV_UNCORRECTABLE_REMAPPED_ROWS", 1, "error.type=uncorrected joulewise.state=done"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_CORRECTABLE_TOTAL DEV_CORRECTABLE_REMAPPED_ROWS", 1, "error.type=corrected joulewise.state=done"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_PENDING", 1, "joulewise.state=pending"),
    Gpu("joulewise.gpu.row_remaps", "DEV_ROW_REMAP_FAILED DEV_ROW_REMAP_FAILURE", 1, "joulewise.state=failed"),
]  # fmt: skip
LINK_ERRORS = {
    "crc_flit": "CRC_FLIT_ERROR_TOTAL CRC_FLIT_ERROR_COUNT_TOTAL CRC_FLIT_ERROR_PER_LINK_TOTAL",
    "crc_data": "CRC_DATA_ERROR_TOTAL CRC_DATA_ERROR_COUNT_TOTAL CRC_DATA_ERROR_PER_LINK_TOTAL",
    "replay": "REPLAY_ERROR_TOTAL REPLAY_ERROR_COUNT_TOTAL REPLAY_ERROR_PER_LINK_TOTAL REPLAY_TOTAL ERROR_DL_REPLAY",
    "recovery": "RECOVERY_ERROR_TOTAL RECOVERY_ERROR_COUNT_TOTAL RECOVERY_ERROR_PER_LINK_TOTAL RECOVERY_TOTAL ERROR_DL_RECOVERY RECOVERY_EVENT_TOTAL COUNT_LINK_RECOVERY_EVENTS",
    "recovery_failed": "RECOVERY_FAILED_TOTAL COUNT_LINK_RECOVERY_FAILED_EVENTS",
    "recovery_successful": "RECOVERY_SUCCESSFUL_TOTAL COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS",
    "crc": "CRC_ERROR_TOTAL ERROR_DL_CRC",
    "ecc": "ECC_ERROR_TOTAL ECC_DATA_ERROR_COUNT_TOTAL",
    "rx_malformed": "RX_PACKET_MALFORMED_TOTAL COUNT_RX_MALFORMED_PACKET_ERRORS",
    "rx_overrun": "RX_PACKET_DROPPED_TOTAL COUNT_RX_BUFFER_OVERRUN_ERRORS",
    "rx": "RX_ERROR_TOTAL COUNT_RX_ERRORS",
    "rx_remote": "RX_REMOTE_ERROR_TOTAL COUNT_RX_REMOTE_ERRORS",
    "rx_general": "RX_GENERAL_ERROR_TOTAL COUNT_RX_GENERAL_ERRORS",
    "rx_symbol": "RX_SYMBOL_ERROR_TOTAL COUNT_RX_SYMBOL_ERRORS",
    "integrity": "INTEGRITY_ERROR_TOTAL COUNT_LOCAL_LINK_INTEGRITY_ERRORS",
    "effective": "EFFECTIVE_ERROR_TOTAL COUNT_EFFECTIVE_ERRORS",
    "tx_discard": "COUNT_TX_DISCARDS",
}  # fmt: skip
GPU_ROWS += [
    Gpu("joulewise.gpu.nvlink.errors", " ".join(f"DEV_NVLINK_{n}" for n in names.split()), 1, f"error.type={kind}")
    for kind, names in LINK_ERRORS.items()
]  # fmt: skip
for link in range(18):
    on = f"joulewise.nvlink.link={link}"
    for way, direction in (("TX", SENT), ("RX", RECEIVED)):
        GPU_ROWS += [
            Gpu(
                "joulewise.gpu.nvlink.rate",
                f"PROF_NVLINK_L{link}_{way}_BYTES",
                1,
                f"{direction} {on}",
            ),
            Gpu(
                "joulewise.gpu.nvlink.rate",
                f"DEV_NVLINK_{way}_THROUGHPUT_L{link} DEV_NVLINK_{way}_BANDWIDTH_L{link}",
                NVLINK_MB,
                f"{direction} {on}",
            ),
        ]
    GPU_ROWS.append(
        Gpu(
            "joulewise.gpu.nvlink.rate",
            f"DEV_NVLINK_THROUGHPUT_L{link} DEV_NVLINK_BANDWIDTH_L{link}",
            NVLINK_MB,
            on,
        )
    )
    for kind in ("CRC_FLIT", "CRC_DATA", "REPLAY", "RECOVERY"):
        GPU_ROWS.append(Gpu("joulewise.gpu.nvlink.errors", f"DEV_NVLINK_{kind}_ERROR_L{link}_TOTAL DEV_NVLINK_{kind}_ERROR_COUNT_L{link}", 1, f"error.type={kind.lower()} {on}"))  # fmt: skip
MASK = {
    "power_cap": 0x4,
    "sync_boost": 0x10,
    "thermal_sw": 0x20,
    "thermal_hw": 0x40,
    "power_brake": 0x80,
}
SENTINELS = {*range(0x7FFFFFF0, 0x7FFFFFF4), *range(140737488355328, 140737488355332)}


def is_value(value: float) -> bool:
    return math.isfinite(value) and value < 9.2e18 and value not in SENTINELS


def by_field(samples: list[Sample]) -> dict[str, list[tuple[dict[str, str], float]]]:
    found = defaultdict(list)
    for name, labels, value in samples:
        found[name.removeprefix("DCGM_FI_")].append((labels, value))
    return found


def gpu_attributes(labels: dict[str, str], own: str, *, slices: bool) -> Pairs:
    found = dict(pair.split("=") for pair in own.split())
    found["hw.id"] = labels.get("UUID") or labels.get("uuid") or labels.get("gpu_uuid") or ""
    if "nvlink" in labels:
        found["joulewise.nvlink.link"] = labels["nvlink"]
    if slices and labels.get("GPU_I_ID"):
        found["joulewise.mig.slice"] = labels["GPU_I_ID"]
        found["joulewise.mig.profile"] = labels["GPU_I_PROFILE"]
    return frozenset(found.items())


def expected_gpus(samples: list[Sample]) -> dict[Key, float]:
    page = by_field(samples)
    expected: dict[Key, float] = {}

    def put(
        signal: str, labels: dict[str, str], own: str, value: float, *, slices: bool = False
    ) -> None:
        pairs = gpu_attributes(labels, own, slices=slices)
        if dict(pairs)["hw.id"]:
            expected.setdefault((signal, pairs), value)

    for row in GPU_ROWS:
        for name in row.names.split():
            whole_first = sorted(page[name], key=lambda sample: bool(sample[0].get("GPU_I_ID")))
            for labels, value in whole_first:
                if is_value(value) and row.keep(value):
                    put(row.signal, labels, row.own, value * row.unit, slices=row.slices)
    for name in ("DEV_XID_ERROR", "DEV_XID_ERRORS", "dcgm_xid_errors"):
        for labels, value in page[name]:
            if is_value(value) and value:
                put("joulewise.gpu.xid", labels, f"joulewise.xid={value:.0f}", 1.0)
    for name in ("DEV_CLOCKS_EVENT_REASONS", "DEV_CLOCK_THROTTLE_REASONS"):
        for labels, value in page[name]:
            if is_value(value):
                mask = int(value)
                for reason, bit in MASK.items():
                    put(
                        "joulewise.gpu.throttle.active",
                        labels,
                        f"joulewise.reason={reason}",
                        float(bool(mask & bit)),
                    )
                other = bool(mask & 0x100) or (mask & 0xC8) == 0x8
                put("joulewise.gpu.throttle.active", labels, "joulewise.reason=other", float(other))
    for labels, value in page["DEV_FB_TOTAL"]:
        put("hw.gpu.memory.limit", labels, "", value * MIB, slices=True)
    parts: dict[Pairs, dict[str, float]] = defaultdict(dict)
    for name in ("DEV_FB_USED", "DEV_FB_FREE", "DEV_FB_RESERVED"):
        for labels, value in page[name]:
            if is_value(value):
                parts[gpu_attributes(labels, "", slices=True)].setdefault(name, value)
    for pairs, sizes in parts.items():
        if len(sizes) == 3:
            expected.setdefault(("hw.gpu.memory.limit", pairs), sum(sizes.values()) * MIB)
    others: dict[Pairs, float] = defaultdict(float)
    for name in ("DEV_BOARD_LIMIT_VIOLATION", "DEV_RELIABILITY_VIOLATION"):
        for labels, value in page[name]:
            others[gpu_attributes(labels, "joulewise.reason=other", slices=False)] += value / 1e9
    expected |= {("joulewise.gpu.throttle.time", pairs): value for pairs, value in others.items()}
    for scope, names in {
        "cpu": ("DEV_CPU_POWER_WATTS", "DEV_CPU_POWER_UTIL_CURRENT"),
        "module": ("DEV_MODULE_POWER_UTIL_CURRENT",),
    }.items():
        watts = [value for name in names for _, value in page[name]]
        if watts:
            expected["hw.host.power", frozenset({("joulewise.scope", scope)})] = sum(watts)
    return without_sums(expected)


def without_sums(expected: dict[Key, float]) -> dict[Key, float]:
    """A rate of both directions says nothing new where each direction is there."""
    directions = {"network.io.direction"}
    directed = {
        frozenset(pair for pair in pairs if pair[0] not in directions)
        for signal, pairs in expected
        if signal.endswith("nvlink.rate") and any(pair[0] in directions for pair in pairs)
    }
    return {
        (signal, pairs): value
        for (signal, pairs), value in expected.items()
        if not (signal.endswith("nvlink.rate") and pairs in directed)
    }


def test_readings_are_what_prometheus_client_and_the_stated_units_say(
    samples: list[Sample], numbers: dict[Key, float], histograms: dict[Key, dict], gpu_page: object
) -> None:
    assert numbers == pytest.approx(expected_gpus(samples), rel=1e-12)
    assert not histograms
