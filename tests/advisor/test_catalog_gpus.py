"""The GPU catalog: names find parts, and figures are in base units and plausible."""

from __future__ import annotations

import pytest

from advisor.catalog.gpus import GPUS, capability, find_gpu, kind


@pytest.mark.parametrize(
    ("name", "gpu_id"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("H100", "h100"),
        ("H100-SXM-80GB", "h100"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H200", "h200"),
        ("B200 SXM", "b200"),
        ("NVIDIA B200", "b200"),
        ("GB200 NVL72", "gb200"),
        ("NVIDIA B300 SXM6 AC", "b300"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA A100-SXM4-40GB", "a100-40gb"),
        ("NVIDIA GH200 480GB", "gh200-96"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtxpro6000"),
        ("Tesla T4", "t4"),
        ("l40s", "l40s"),
    ],
)
def test_a_product_name_or_a_short_name_finds_its_part(name: str, gpu_id: str) -> None:
    found = find_gpu(name)
    assert found is not None
    assert found.id == gpu_id


@pytest.mark.parametrize("name", ["", "NVIDIA", "Radeon", "AMD Instinct MI300X", "H10"])
def test_an_unknown_name_finds_nothing(name: str) -> None:
    assert find_gpu(name) is None


def test_no_name_means_two_parts() -> None:
    for gpu in GPUS.values():
        for name in (gpu.id, *gpu.product_names, *gpu.aliases):
            assert find_gpu(name) is gpu


def test_every_part_carries_its_source_in_base_units() -> None:
    for gpu in GPUS.values():
        assert gpu.source
        assert 10e9 < gpu.memory_bytes < 400e9
        assert 1e11 < gpu.bandwidth_bytes_per_s < 1e13
        assert 1e13 < gpu.flops["bf16"] < 1e16
        assert 50 < gpu.tdp_w < 2000


def test_a_part_has_narrow_tensor_rates_only_from_the_capability_that_brought_them() -> None:
    for gpu in GPUS.values():
        assert ("fp8" in gpu.flops) == (capability(gpu) >= (8, 9))
        assert ("nvfp4" in gpu.flops) == (capability(gpu) >= (10, 0))


def test_a_rack_is_one_domain_of_72() -> None:
    assert {GPUS["gb200"].nvlink_domain, GPUS["gb300"].nvlink_domain} == {72}
    assert GPUS["h100"].nvlink_domain == 8
    assert GPUS["l40s"].nvlink_bytes_per_s is None


def test_the_kind_of_a_part_leaves_its_form_out() -> None:
    assert kind(GPUS["h100-pcie"]) == "h100"
    assert kind(GPUS["rtxpro6000"]) == "rtxpro6000"
