"""`joulewise-agent read`: whose page it is, what it says when it is another's, and what it prints."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent.errors import AgentError, NoData, PageError, UnsupportedProgramError
from agent.read import PROGRAMS, SOURCES, read, read_page, to_json, to_table
from agent.vocabulary import Histogram, Reading

DCGM = b'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1"} 113.5\n'
VLLM = b'vllm:num_requests_running{engine="0",model_name="m"} 3\n'


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (DCGM, "dcgm"),
        (b'dcgm_power_usage{uuid="GPU-1"} 1\n', "dcgm"),
        (VLLM, "vllm"),
        (b'ray_vllm_num_requests_running{ReplicaId="a"} 3\n', "vllm"),
        (b"nv_inference_count 3\n" + VLLM, "vllm"),
        (b"dynamo_component_requests_total 3\nsglang:num_running_reqs 3\n", "sglang"),
        (b"trtllm_num_requests_running 3\n", "tensorrt-llm"),
        (b"trtllm:request_success_total 3\n", "tensorrt-llm"),
        (b"e2e_request_latency_seconds_count 3\nrequest_success_total 3\n", "tensorrt-llm"),
        (b" [ ] \n", "tensorrt-llm"),
        (b'{"total_energy_j": 3}', "tensorrt-llm"),
    ],
)
def test_a_page_is_known_by_its_names(text: bytes, program: str) -> None:
    assert read_page("auto", text).program == program


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("tgi_queue_size", "Text Generation Inference"),
        ("lmdeploy:num_requests_running", "LMDeploy"),
        ("llamacpp:prompt_tokens_total", "llama.cpp"),
        ("nv_inference_count", "Triton Inference Server"),
        ("dynamo_frontend_requests_total", "NVIDIA Dynamo"),
        ("node_load1", "node exporter"),
        ("num_request_max", "NVIDIA NIM"),
    ],
)
@pytest.mark.parametrize("source", ["auto", "vllm", "dcgm"])
def test_a_page_of_a_program_not_read_yet_is_named(source: str, name: str, program: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=f"{program}.*not read yet"):
        read_page(source, f'{name}{{a="b"}} 1\nprocess_start_time_seconds 5\n'.encode())


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        ("vllm", DCGM, "a page of dcgm; give --source dcgm"),
        ("dcgm", VLLM, "a page of vllm; give --source vllm"),
        ("auto", b"", "the page is empty"),
        ("dcgm", b" \n\n", "the page is empty"),
        ("auto", b"go_goroutines 5\n", "known here .go_goroutines."),
        ("vllm", b"<html><body>404</body></html>", "no sample at all"),
        ("auto", b"# HELP DCGM_FI_DEV_POWER_USAGE W\n", "no sample at all"),
        ("dcgm", b"[]", "this is JSON"),
        ("auto", b'{"version": "0.33.0"}', "JSON with no statistics"),
        ("auto", b"[{]", "TensorRT-LLM's JSON"),
        ("auto", b"[" * 50_000, "nested too deeply"),
        ("abacus", DCGM, "not a page of a program known|a page of dcgm"),
    ],
)
def test_a_wrong_page_is_said_to_be_wrong(source: str, text: bytes, message: str) -> None:
    with pytest.raises(PageError, match=message) as raised:
        read_page(source, text, "http://node:9400/metrics")
    assert str(raised.value).startswith("reading http://node:9400/metrics")


def test_a_source_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(PageError, match="no such source; give one of auto, dcgm, nvml, vllm"):
        read("abacus", "page")


@pytest.mark.parametrize("target", ["/no/such/file", "/", "a\0b"])
def test_a_file_that_cannot_be_read_is_no_data(target: str) -> None:
    with pytest.raises(NoData, match="give a file or an http"):
        read("dcgm", target)


def test_a_source_without_a_page_asks_for_one() -> None:
    with pytest.raises(PageError, match="a page is needed"):
        read("dcgm")


def test_text_that_is_no_number_is_skipped_and_counted(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_bytes(
        DCGM + b'DCGM_FI_DEV_FB_USED{UUID="GPU-1"} ERROR - FAILED TO CONVERT TO STRING\n'
    )
    result = read("auto", str(page))
    assert result.skipped == 1
    assert [reading.signal for reading in result.readings] == ["hw.power"]


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(DCGM)

        def log_message(self, *args: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_page_is_read_over_http(server: str) -> None:
    assert [r.value for r in read("dcgm", f"{server}/metrics").readings] == [113.5]


def test_an_http_error_is_no_data(server: str) -> None:
    with pytest.raises(NoData, match="HTTP 404"):
        read("dcgm", f"{server}/elsewhere")


def test_nobody_there_is_no_data() -> None:
    with pytest.raises(NoData, match="is it running there"):
        read("dcgm", "http://127.0.0.1:1/metrics")


def test_readings_are_json_values() -> None:
    histogram = Histogram(((0.5, 1.0), (float("inf"), 2.0)), 1.5, 2.0)
    readings = [
        Reading("hw.power", (("hw.id", "GPU-1"),), 113.5),
        Reading("joulewise.engine.queue.duration", (), histogram),
    ]
    assert json.loads(json.dumps(to_json(readings), allow_nan=False)) == [
        {
            "signal": "hw.power",
            "unit": "W",
            "kind": "gauge",
            "attributes": {"hw.id": "GPU-1"},
            "value": 113.5,
        },
        {
            "signal": "joulewise.engine.queue.duration",
            "unit": "s",
            "kind": "histogram",
            "attributes": {},
            "value": {"buckets": [[0.5, 1.0], ["+Inf", 2.0]], "sum": 1.5, "count": 2.0},
        },
    ]


def test_readings_are_lines_for_a_person() -> None:
    histogram = Histogram(((float("inf"), 4.0),), 2.0, 4.0)
    table = to_table(
        [
            Reading("hw.energy", (("hw.id", "GPU-1"), ("hw.type", "gpu")), 1234567.0),
            Reading("joulewise.engine.queue.duration", (), histogram),
        ]
    )
    energy, queue = table.splitlines()
    assert energy.split() == ["hw.energy", "1,234,567", "J", "hw.id=GPU-1", "hw.type=gpu"]
    assert "4 observed, mean 0.5 s" in queue
    assert to_table([]) == ""


def test_every_program_named_is_no_source() -> None:
    assert not {title.lower() for title in PROGRAMS.values()} & set(SOURCES)


def test_page_errors_are_of_the_agents_family() -> None:
    assert issubclass(UnsupportedProgramError, PageError)
    assert issubclass(PageError, AgentError)
