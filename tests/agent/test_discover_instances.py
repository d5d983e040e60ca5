"""Discovery: what serves at an address, from settings down to defaults, with the tier of each field."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.discover import Discovered, Surroundings, discover, instance_id
from agent.errors import NoData, SettingsError
from agent.identity import parse_tiers
from agent.processes import Processes
from agent.settings import Engine

BASE = "http://127.0.0.1:8000"
VLLM = b'vllm:num_requests_running{model_name="alias"} 1\n'
SGLANG = b'sglang:num_running_reqs{model_name="m"} 1\n'
TENSORRT = b'trtllm_num_requests_running{model_name="m"} 1\n'
H100 = {"hw.model": "NVIDIA H100 80GB HBM3", "joulewise.gpu.memory": "85520809984"}
A100 = {"hw.model": "NVIDIA A100-SXM4-80GB", "joulewise.gpu.memory": "85899345920"}


def models(**card: object) -> bytes:
    adapter = {"id": "lora", "root": "/adapters/x", "parent": "m"}
    return json.dumps({"data": [adapter, {"parent": None, **card}]}).encode()


def found(
    pages: Mapping[str, bytes], engine: Engine, around: Surroundings | None = None
) -> Discovered:
    def get(url: str) -> bytes:
        path = url.removeprefix(BASE)
        if path not in pages:
            raise NoData(f"reading {url}: HTTP 404")
        return pages[path]

    return discover(engine, "host-1", lambda: around or Surroundings(), get)


def fields(discovered: Discovered) -> dict[str, tuple[str, str]]:
    """Field -> (value, tier)."""
    info = discovered.described()
    tiers = parse_tiers(info["joulewise.tiers"])
    return {name: (info.get(f"joulewise.{name}", ""), tier) for name, tier in tiers.items()}


@pytest.mark.parametrize(
    ("pages", "name", "url"),
    [
        ({"/metrics": VLLM}, "vllm", f"{BASE}/metrics"),
        ({"/metrics": SGLANG}, "sglang", f"{BASE}/metrics"),
        (
            {"/metrics": b"[]", "/prometheus/metrics": TENSORRT},
            "tensorrt-llm",
            f"{BASE}/prometheus/metrics",
        ),
    ],
)
def test_an_engine_is_recognised_by_its_page(pages: dict[str, bytes], name: str, url: str) -> None:
    discovered = found(pages, Engine(url=BASE))
    assert (discovered.table.name, discovered.metrics_url) == (name, url)


def test_an_address_with_a_path_is_the_metrics_address() -> None:
    discovered = found({"/own/metrics": VLLM}, Engine(url=f"{BASE}/own/metrics"))
    assert discovered.metrics_url == f"{BASE}/own/metrics"


@pytest.mark.parametrize(
    "page", [b"node_load1 0.5\n", b"", b'DCGM_FI_DEV_GPU_TEMP{UUID="GPU-a"} 1\n']
)
def test_a_page_of_something_else_is_no_engine(page: bytes) -> None:
    with pytest.raises(NoData, match="finding the engine"):
        found({"/metrics": page}, Engine(url=BASE))


def test_an_unknown_kind_is_refused_with_those_known() -> None:
    with pytest.raises(SettingsError, match="vllm"):
        found({"/metrics": VLLM}, Engine(url=BASE, kind="vlm"))


def test_nobody_there_is_no_data() -> None:
    with pytest.raises(NoData, match="404"):
        found({}, Engine(url=BASE, kind="vllm"))


def test_settings_go_before_endpoints_these_before_the_command_line_and_that_before_defaults() -> (
    None
):
    pages = {
        "/metrics": VLLM,
        "/version": b'{"version": "0.33.0"}',
        "/v1/models": models(id="alias", root="org/M-FP8", max_model_len=32768),
    }
    engine = Engine(
        url=BASE,
        max_sequences=48,
        command="vllm serve other/M -tp 4 --max-num-seqs 64 --max-model-len 4096",
    )
    assert {
        name: fields(found(pages, engine))[name]
        for name in (
            "engine.version",
            "model",
            "max_model_length",
            "max_sequences",
            "parallel.tensor",
            "precision.weights",
            "precision.kv",
        )
    } == {
        "engine.version": ("0.33.0", "engine"),
        "model": ("org/M-FP8", "engine"),
        "max_model_length": ("32768", "engine"),
        "max_sequences": ("48", "configured"),
        "parallel.tensor": ("4", "argv"),
        "precision.weights": ("fp8", "model name"),
        "precision.kv": ("bf16", "default"),
    }


def test_without_a_command_line_nothing_is_taken_for_a_default() -> None:
    known = fields(found({"/metrics": VLLM}, Engine(url=BASE)))
    assert "parallel.tensor" not in known
    assert "max_sequences" not in known


@pytest.mark.parametrize(
    ("gpu", "sequences", "tokens"), [(H100, "1024", "8192"), (A100, "256", "2048")]
)
def test_vllms_own_batch_limits_follow_the_gpu(
    gpu: dict[str, str], sequences: str, tokens: str
) -> None:
    around = Surroundings(gpus={"GPU-a": gpu})
    engine = Engine(url=BASE, command="vllm serve m", gpus=("0",))
    known = fields(found({"/metrics": VLLM}, engine, around))
    assert known["max_sequences"] == (sequences, "default")
    assert known["max_batched_tokens"] == (tokens, "default")


def test_sglangs_resolved_arguments_say_everything() -> None:
    info = {
        "model_path": "org/M",
        "tp_size": 8,
        "dp_size": 1,
        "quantization": "fp8",
        "kv_cache_dtype": "auto",
        "disable_radix_cache": True,
        "max_running_requests": None,
        "mem_fraction_static": 0.86,
        "internal_states": [{"effective_max_running_requests_per_dp": 3429}],
        "version": "0.5.23",
        "api_key": "sk-secret",
    }
    discovered = found(
        {"/metrics": SGLANG, "/server_info": json.dumps(info).encode()}, Engine(url=BASE)
    )
    known = fields(discovered)
    assert known["parallel.tensor"] == ("8", "engine")
    assert known["precision.weights"] == ("fp8", "engine")
    assert known["max_sequences"] == ("3429", "engine")
    assert known["features"] == ("chunked_prefill", "engine")
    assert known["parallel.pipeline"] == ("1", "default")
    assert "secret" not in repr(discovered)


@pytest.mark.parametrize("answer", [b"[]", b"{", b'{"data": 5}', b'{"data": [7]}', b"[" * 100_000])
def test_an_endpoint_that_answers_nonsense_says_nothing(answer: bytes) -> None:
    pages = {"/metrics": VLLM, "/v1/models": answer, "/version": answer}
    assert "model" not in fields(found(pages, Engine(url=BASE)))


def test_gpus_are_given_by_index_or_uuid() -> None:
    around = Surroundings(gpus={"GPU-a": H100, "GPU-b": H100})
    engine = Engine(url=BASE, gpus=("1", "GPU-z"))
    assert fields(found({"/metrics": VLLM}, engine, around))["gpu.ids"] == (
        "GPU-b,GPU-z",
        "configured",
    )


def test_a_gpu_that_is_not_there_is_refused() -> None:
    around = Surroundings(gpus={"GPU-a": H100})
    with pytest.raises(SettingsError, match="there is no GPU 7"):
        found({"/metrics": VLLM}, Engine(url=BASE, gpus=("7",)), around)


def test_indices_wait_until_gpus_are_known() -> None:
    assert "gpu.ids" not in fields(found({"/metrics": VLLM}, Engine(url=BASE, gpus=("0",))))


def test_a_checkpoint_on_this_disk_says_its_precision(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "mxfp4"}}')
    engine = Engine(url=BASE, command=f"vllm serve {tmp_path}")
    assert fields(found({"/metrics": VLLM}, engine))["precision.weights"] == ("mxfp4", "checkpoint")


def test_an_exported_checkpoint_says_the_precision_of_its_kv_cache_too(tmp_path: Path) -> None:
    (tmp_path / "hf_quant_config.json").write_text(
        '{"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}'
    )
    known = fields(found({"/metrics": VLLM}, Engine(url=BASE, command=f"vllm serve {tmp_path}")))
    assert known["precision.weights"] == ("nvfp4", "checkpoint")
    assert known["precision.kv"] == ("fp8", "checkpoint")


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (Engine(url=BASE, name="chat"), "chat"),
        (Engine(url=BASE), "host-1:8000"),
        (Engine(url="https://gpu.example/metrics"), "host-1:443"),
    ],
)
def test_an_instance_is_its_name_or_host_and_port(engine: Engine, expected: str) -> None:
    assert instance_id(engine, "host-1") == expected


class Proc:
    """A /proc folder of our own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "net").mkdir(parents=True)
        (root / "net" / "tcp").write_text(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n"
            "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1\n"
            "   1: 0100007F:1F41 0100007F:1F40 01 00000000:00000000 00:00000000 00000000 0 0 4712 1\n"
        )

    def process(self, pid: int, parent: int, command: str, socket_inode: int | None = None) -> None:
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
        (folder / "stat").write_text(f"{pid} (VLLM::Engine Core) S {parent} 1 1")
        if socket_inode is not None:
            (folder / "fd" / "3").symlink_to(f"socket:[{socket_inode}]")


def test_the_listening_process_tells_its_command_line_and_its_gpus(tmp_path: Path) -> None:
    proc = Proc(tmp_path / "proc")
    proc.process(10, 1, "python vllm serve org/M -tp 2")
    proc.process(11, 10, "VLLM::APIServer", socket_inode=4711)
    proc.process(12, 11, "VLLM::Worker_TP0")
    proc.process(20, 1, "python train.py")
    around = Surroundings(
        gpus={"GPU-a": H100, "GPU-b": H100},
        computing={"GPU-a": (12,), "GPU-b": (20,)},
        processes=Processes(proc.root),
    )
    known = fields(found({"/metrics": VLLM}, Engine(url=BASE), around))
    assert known["parallel.tensor"] == ("2", "argv")
    assert known["model"] == ("org/M", "argv")
    assert known["gpu.ids"] == ("GPU-a", "processes")


def test_an_address_elsewhere_is_no_process_of_this_node(tmp_path: Path) -> None:
    proc = Proc(tmp_path / "proc")
    proc.process(11, 1, "vllm serve org/M -tp 2", socket_inode=4711)

    def get(_: str) -> bytes:
        return VLLM

    engine = Engine(url="http://10.0.0.9:8000", kind="vllm")
    around = Surroundings(processes=Processes(proc.root))
    assert "parallel.tensor" not in fields(discover(engine, "host-1", lambda: around, get))


def test_a_process_of_this_machine_is_found_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pid = Processes().listening(server.getsockname()[1])
        assert pid is not None
        assert Processes().command(pid)
        assert pid in Processes().ancestry(pid)


def test_a_port_nobody_listens_on_has_no_process(tmp_path: Path) -> None:
    assert Processes(Proc(tmp_path / "proc").root).listening(8001) is None
    assert Processes(tmp_path / "nothing").listening(8000) is None
    assert Processes(tmp_path / "nothing").command(1) == []
