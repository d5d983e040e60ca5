"""What dcgm-exporter's page does not mean, although it looks so."""

from __future__ import annotations

import pytest

from agent.dcgm import NAMES, DcgmReader
from agent.vocabulary import SIGNALS

GPU = '{gpu="0",UUID="GPU-1"}'


def read(*lines: str) -> dict[tuple[str, ...], float]:
    """Values by signal and attributes; `hw.id`, `hw.type`, scope and what a GPU is left out."""
    text = "".join(f"DCGM_FI_{line}\n" for line in lines).encode()
    silent = ("hw.id", "hw.type", "joulewise.scope")
    return {
        (
            r.signal,
            *(f"{name}={value}" for name, value in r.attributes if name not in silent),
        ): r.value
        for r in DcgmReader().read(text)
        if isinstance(r.value, float) and r.signal != "joulewise.gpu.info"
    }


@pytest.mark.parametrize(
    ("line", "signal", "value"),
    [
        ("DEV_TOTAL_ENERGY_CONSUMPTION{} 123456789012", "hw.energy", 123456789.012),
        ("DEV_POWER_USAGE{} 113.611", "hw.power", 113.611),
        ("DEV_GPU_UTIL{} 91", "hw.gpu.utilization", 0.91),
        ("DEV_GPU_UTIL_RATIO{} 1", "hw.gpu.utilization", 0.01),
        ("PROF_GR_ENGINE_ACTIVE{} 1", "joulewise.gpu.engine.active", 1.0),
        ("PROF_GR_ENGINE_UTIL_RATIO{} 0.5", "joulewise.gpu.engine.active", 0.5),
        ("DEV_FB_USED{} 1024", "hw.gpu.memory.usage", 1073741824.0),
        ("DEV_SM_CLOCK{} 1980", "joulewise.gpu.clock.sm", 1.98e9),
        ("DEV_POWER_VIOLATION{} 2500000000", "joulewise.gpu.throttle.time", 2.5),
        (
            "DEV_NVLINK_BANDWIDTH_TOTAL{} 111000",
            "joulewise.gpu.nvlink.rate",
            111000 * 1000 * 1024.0,
        ),
        ("PROF_NVLINK_TX_BYTES{} 5000", "joulewise.gpu.nvlink.rate", 5000.0),
        ("PROF_PCIE_RX_BYTES{} 5000", "joulewise.gpu.io.rate", 5000.0),
        ("PROF_PCIE_RX_BYTES_TOTAL{} 5000", "hw.gpu.io", 5000.0),
    ],
)
def test_units_are_base_units(line: str, signal: str, value: float) -> None:
    ((key, found),) = read(line.replace("{}", GPU)).items()
    assert key[0] == signal
    assert found == value


def test_a_temperature_of_zero_is_no_memory_sensor_but_a_cold_gpu() -> None:
    found = read(f"DEV_MEMORY_TEMP{GPU} 0", f"DEV_GPU_TEMP{GPU} 0")
    assert found == {("hw.temperature", "hw.sensor_location=gpu"): 0.0}


@pytest.mark.parametrize(
    "blank",
    [
        "9223372036854775792",
        "9223372036854775795",
        "9.223372036854775807e18",
        "2147483632",
        "2147483635",
        "140737488355328.000000",
        "140737488355331.0",
        "NaN",
        "+Inf",
        "-Inf",
        "ERROR - FAILED TO CONVERT TO STRING",
    ],
)
def test_a_blank_is_absent(blank: str) -> None:
    assert read(f"DEV_POWER_USAGE{GPU} {blank}", f"DEV_FB_USED{GPU} 1") == {
        ("hw.gpu.memory.usage",): 1048576.0
    }


def test_a_counter_larger_than_the_blank_of_doubles_is_a_value() -> None:
    found = read(f"DEV_TOTAL_ENERGY_CONSUMPTION{GPU} 140737488360000")
    assert found == {("hw.energy",): 140737488360.0}


def test_the_memory_limit_needs_all_three_parts() -> None:
    used, free = f"DEV_FB_USED{GPU} 10", f"DEV_FB_FREE{GPU} 20"
    reserved = f"DEV_FB_RESERVED{GPU} 5"
    assert ("hw.gpu.memory.limit",) not in read(used, free)
    assert ("hw.gpu.memory.limit",) not in read(used, reserved)
    assert read(used, free, reserved)["hw.gpu.memory.limit",] == 35 * 1048576.0
    total = f"DEV_FB_TOTAL{GPU} 40"
    assert read(used, free, reserved, total)["hw.gpu.memory.limit",] == 40 * 1048576.0


def test_an_xid_of_zero_is_no_reading_and_a_code_is_an_attribute() -> None:
    assert not read(f"DEV_XID_ERRORS{GPU} 0")
    labels = '{gpu="0",UUID="GPU-1",err_code="31",err_msg="MMU Fault"}'
    assert read(f"DEV_XID_ERRORS{labels} 31") == {("joulewise.gpu.xid", "joulewise.xid=31"): 1.0}


def test_new_and_old_names_on_one_page_are_one_reading() -> None:
    found = read(f"DEV_POWER_USAGE{GPU} 100", f"DEV_BOARD_POWER_WATTS{GPU} 101")
    assert found == {("hw.power",): 101.0}


def test_each_gpu_takes_the_newest_name_that_it_has() -> None:
    other = '{gpu="1",UUID="GPU-2"}'
    text = f"DCGM_FI_DEV_BOARD_POWER_WATTS{GPU} 1\nDCGM_FI_DEV_POWER_USAGE{other} 2\n"
    assert [r.value for r in DcgmReader().read(text.encode())] == [1.0, 2.0]


def test_the_board_is_not_summed_over_mig_slices() -> None:
    rows = [
        '{gpu="0",UUID="GPU-1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"}',
        '{gpu="0",UUID="GPU-1",GPU_I_PROFILE="2g.20gb",GPU_I_ID="3"}',
    ]
    found = read(*(f"DEV_POWER_USAGE{row} 52.6" for row in rows))
    assert found == {("hw.power",): 52.6}
    found = read(*(f"PROF_DRAM_ACTIVE{row} 0.{n}" for n, row in enumerate(rows, 1)))
    profile, slice_id = "joulewise.mig.profile", "joulewise.mig.slice"
    assert found == {
        ("joulewise.gpu.dram.active", f"{profile}=1g.10gb", f"{slice_id}=7"): 0.1,
        ("joulewise.gpu.dram.active", f"{profile}=2g.20gb", f"{slice_id}=3"): 0.2,
    }


def test_the_whole_gpu_goes_before_its_slices_wherever_it_stands() -> None:
    sliced = '{gpu="0",UUID="GPU-1",GPU_I_ID="7",GPU_I_PROFILE="1g.10gb"}'
    assert read(f"DEV_GPU_TEMP{sliced} 41", f"DEV_GPU_TEMP{GPU} 40") == {
        ("hw.temperature", "hw.sensor_location=gpu"): 40.0
    }


def test_a_pods_share_of_a_gpu_stands_only_where_the_gpu_does_not() -> None:
    share = '{gpu="0",UUID="GPU-1",pod="a",vgpu="1"}'
    assert read(f"DEV_GPU_UTIL{share} 24", f"DEV_GPU_UTIL{GPU} 90") == {
        ("hw.gpu.utilization", "hw.gpu.task=general"): 0.9
    }


def test_jobs_and_pods_do_not_multiply_a_gpu() -> None:
    jobs = ('{gpu="0",UUID="GPU-1",hpc_job="1"}', '{gpu="0",UUID="GPU-1",hpc_job="2",pod="a"}')
    found = read(*(f"DEV_TOTAL_ENERGY_CONSUMPTION{job} 5000" for job in jobs))
    assert found == {("hw.energy",): 5.0}


def test_links_stay_apart() -> None:
    rows = (f'{{nvlink="{link}",gpu="0",gpu_uuid="GPU-1"}}' for link in (1, 2))
    found = read(*(f"DEV_NVLINK_COUNT_RX_ERRORS{row} 4" for row in rows))
    assert found == {
        ("joulewise.gpu.nvlink.errors", "error.type=rx", f"joulewise.nvlink.link={link}"): 4.0
        for link in (1, 2)
    }


def test_a_rate_of_both_directions_is_left_out_where_each_is_there() -> None:
    found = read(f"DEV_NVLINK_BANDWIDTH_TOTAL{GPU} 9", f"PROF_NVLINK_TX_BYTES{GPU} 5")
    assert found == {("joulewise.gpu.nvlink.rate", "network.io.direction=transmit"): 5.0}


def test_rows_of_switches_are_no_gpus() -> None:
    assert not read('DEV_NVLINK_COUNT_RX_ERRORS{nvswitch="0",nvlink="3"} 4')


@pytest.mark.parametrize(
    ("mask", "reasons"),
    [
        (0x0, set()),
        (0x1, set()),
        (0x2, set()),
        (0x4, {"power_cap"}),
        (0x8, {"other"}),
        (0x48, {"thermal_hw"}),
        (0x88, {"power_brake"}),
        (0x30, {"sync_boost", "thermal_sw"}),
        (0x100, {"other"}),
    ],
)
def test_the_bits_of_the_mask_are_reasons(mask: int, reasons: set[str]) -> None:
    found = read(f"DEV_CLOCK_THROTTLE_REASONS{GPU} {mask}")
    assert len(found) == 6
    assert {key[1].split("=")[1] for key, value in found.items() if value} == reasons


def test_low_utilization_is_no_throttling() -> None:
    assert not read(f"DEV_LOW_UTIL_VIOLATION{GPU} 99000000000")


def test_board_and_reliability_limits_add_up() -> None:
    found = read(
        f"DEV_BOARD_LIMIT_VIOLATION{GPU} 1000000000", f"DEV_RELIABILITY_VIOLATION{GPU} 500000000"
    )
    assert found == {("joulewise.gpu.throttle.time", "joulewise.reason=other"): 1.5}


@pytest.mark.parametrize("host", ["Hostname", "hostname"])
@pytest.mark.parametrize("uuid", ["UUID", "uuid", "gpu_uuid"])
@pytest.mark.parametrize("model", ["modelName", "model_name"])
def test_labels_may_be_spelt_either_way(host: str, uuid: str, model: str) -> None:
    line = f'DCGM_FI_DEV_FB_USED{{gpu="0",{uuid}="GPU-1",{model}="NVIDIA H200",{host}="n"}} 1\n'
    usage, info = DcgmReader().read(line.encode())
    assert usage.attributes == (("hw.id", "GPU-1"),)
    assert info.attributes == (("hw.id", "GPU-1"), ("hw.model", "NVIDIA H200"))


def test_a_row_that_names_no_gpu_is_left_out() -> None:
    assert not read('DEV_POWER_USAGE{gpu="0"} 100')


def test_every_name_leads_to_a_signal_of_a_gpu_or_its_host() -> None:
    for name in NAMES:
        labels = '{cpu="0"}' if "CPU_POWER" in name or "MODULE" in name else GPU
        readings = DcgmReader().read(f"{name}{labels} 5\n".encode())
        if not name.endswith(("FB_FREE", "FB_RESERVED")):
            assert {SIGNALS[r.signal].subject for r in readings} <= {"gpu", "node"}
            assert readings, name
