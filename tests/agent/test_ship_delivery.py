"""Batches reach a real HTTP server once each, or wait, or are dropped for a reason that is counted."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time

import pytest
import trustme
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from agent.errors import SettingsError
from agent.settings import Destination
from agent.ship import Shipper
from agent.spool import Counts, Spool


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


TAKEN = Answer()
HANG_UP = Answer(hang_up=True)


class Receiver:
    """Takes what is posted and answers as it is told, the last answer again and again."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = [TAKEN]
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.paths.append(self.path)
                receiver.headers.append(dict(self.headers))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(gzip.decompress(body))
                answers = receiver.answers
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body) + 100 * answer.hang_up))
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = answer.hang_up

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db")
    yield opened
    opened.close()


Ship = Callable[..., Shipper]


@pytest.fixture
def shipper_to(spool: Spool) -> Iterator[Ship]:
    opened: list[Shipper] = []

    def make(url: str, **options: object) -> Shipper:
        shipper = Shipper(spool, Destination(url=url, timeout_s=5.0, **options))  # type: ignore[arg-type]
        opened.append(shipper)
        return shipper

    yield make
    for shipper in opened:
        shipper.close()


def _fill(spool: Spool, batches: int) -> None:
    for number in range(batches):
        spool.append(lambda sequence: b"batch %d" % sequence, end_s=60.0 * number)


def test_a_batch_arrives_gzipped_as_protobuf_and_is_acknowledged(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    _fill(spool, 1)
    result = shipper_to(receiver.url + "/").ship_once()
    assert (result.acknowledged, result.failure) == (1, None)
    assert receiver.bodies == [b"batch 1"]
    assert receiver.paths == ["/v1/metrics"]
    assert receiver.headers[0]["Content-Type"] == "application/x-protobuf"
    assert receiver.headers[0]["Content-Encoding"] == "gzip"
    assert "Authorization" not in receiver.headers[0]
    assert spool.counts() == Counts(1, 1, 0)


def test_the_newest_goes_first_and_the_backlog_follows_within_its_bound(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    _fill(spool, 6)
    shipper = shipper_to(receiver.url, backlog_batches=2)
    shipper.ship_once()
    assert receiver.bodies == [b"batch 6", b"batch 1", b"batch 2"]
    shipper.ship_once()
    assert receiver.bodies[3:] == [b"batch 5", b"batch 3", b"batch 4"]
    assert spool.counts() == Counts(6, 6, 0)


def test_rejected_points_of_a_taken_batch_are_counted_and_said_once(
    receiver: Receiver, spool: Spool, shipper_to: Ship, caplog: pytest.LogCaptureFixture
) -> None:
    partial = ExportMetricsPartialSuccess(rejected_data_points=3, error_message="no such unit")
    answer = ExportMetricsServiceResponse(partial_success=partial)
    receiver.answers = [Answer(body=answer.SerializeToString())]
    _fill(spool, 2)
    result = shipper_to(receiver.url).ship_once()
    assert (result.acknowledged, result.rejected_points) == (2, 6)
    assert len([r for r in caplog.records if "no such unit" in r.getMessage()]) == 1


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "rejected"), (422, "rejected"), (413, "too_large")]
)
def test_what_a_repetition_cannot_change_is_dropped_with_its_reason(
    receiver: Receiver, spool: Spool, shipper_to: Ship, status: int, reason: str
) -> None:
    receiver.answers = [Answer(status), TAKEN]
    _fill(spool, 2)
    result = shipper_to(receiver.url).ship_once()
    assert (result.acknowledged, result.dropped, result.failure) == (1, 1, None)
    assert spool.counts() == Counts(2, 1, 0, {reason: 1})


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 502, 503])
def test_what_may_pass_keeps_the_batch(
    receiver: Receiver, spool: Spool, shipper_to: Ship, status: int
) -> None:
    receiver.answers = [Answer(status)]
    _fill(spool, 3)
    result = shipper_to(receiver.url).ship_once()
    assert result.failure is not None
    assert f"answered {status}" in result.failure
    assert 0.0 < result.wait_s <= 1.0
    assert len(receiver.bodies) == 1
    assert spool.counts() == Counts(3, 0, 3)


def test_waits_grow_after_each_failure_and_begin_anew_after_a_success(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    _fill(spool, 1)
    shipper = shipper_to(receiver.url)
    receiver.answers = [Answer(503)]
    waits = [shipper.ship_once().wait_s for _ in range(12)]
    bounds = [min(300.0, 2.0**n) for n in range(12)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    receiver.answers = [TAKEN]
    assert shipper.ship_once().failure is None
    receiver.answers = [Answer(503)]
    _fill(spool, 1)
    assert shipper.ship_once().wait_s <= 1.0


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(
    receiver: Receiver, spool: Spool, shipper_to: Ship, form: str
) -> None:
    text = "40" if form == "seconds" else formatdate(time() + 40, usegmt=True)
    receiver.answers = [Answer(429, headers={"Retry-After": text})]
    _fill(spool, 1)
    assert 38.0 <= shipper_to(receiver.url).ship_once().wait_s <= 44.0


def test_a_senseless_retry_after_is_no_order(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    _fill(spool, 1)
    shipper = shipper_to(receiver.url)
    receiver.answers = [Answer(429, headers={"Retry-After": "soon"})]
    assert shipper.ship_once().wait_s <= 1.0
    receiver.answers = [Answer(429, headers={"Retry-After": "99999999"})]
    assert shipper.ship_once().wait_s <= 3600.0 * 1.1
    receiver.answers = [Answer(429, headers={"Retry-After": "0"})]
    assert shipper.ship_once().wait_s >= 1.0


def test_a_connection_closed_within_the_answer_sends_the_same_bytes_again(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    receiver.answers = [HANG_UP, TAKEN]
    _fill(spool, 1)
    shipper = shipper_to(receiver.url)
    assert shipper.ship_once().failure is not None
    assert spool.counts() == Counts(1, 0, 1)
    assert shipper.ship_once().acknowledged == 1
    assert receiver.bodies == [b"batch 1", b"batch 1"]


def test_nobody_there_is_a_failure_that_names_the_address(spool: Spool, shipper_to: Ship) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once_there:
        port = once_there.getsockname()[1]
    _fill(spool, 1)
    failure = shipper_to(f"http://127.0.0.1:{port}").ship_once().failure
    assert failure is not None
    assert f"sending to http://127.0.0.1:{port}/v1/metrics" in failure
    assert "batches wait in the spool" in failure
    assert spool.counts().spooled == 1


def test_an_answer_that_is_no_otlp_acknowledges_nothing(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    receiver.answers = [Answer(body=b"<html>please log in</html>")]
    _fill(spool, 1)
    failure = shipper_to(receiver.url).ship_once().failure
    assert failure is not None
    assert "not as an OTLP receiver does" in failure
    assert spool.counts().spooled == 1


def test_one_batch_that_fails_for_ever_does_not_hold_back_the_others(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    _fill(spool, 4)
    shipper = shipper_to(receiver.url)
    receiver.answers = [TAKEN, Answer(500), TAKEN]  # the oldest is answered 500
    assert shipper.ship_once().failure is not None
    assert shipper.ship_once().failure is None
    assert receiver.bodies[1] == b"batch 1"
    assert spool.counts().acknowledged >= 3


def test_the_token_is_sent_and_read_again_when_it_is_refused(
    receiver: Receiver, spool: Spool, shipper_to: Ship, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("first\n")
    shipper = shipper_to(receiver.url, token_file=token_file)
    _fill(spool, 1)
    shipper.ship_once()
    token_file.write_text("second\n")
    receiver.answers = [Answer(401), TAKEN]
    _fill(spool, 1)
    assert shipper.ship_once().failure is None
    sent = [headers["Authorization"] for headers in receiver.headers]
    assert sent == ["Bearer first", "Bearer first", "Bearer second"]


def test_a_refused_token_that_did_not_change_is_said(
    receiver: Receiver, spool: Spool, shipper_to: Ship, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("wrong")
    receiver.answers = [Answer(401)]
    _fill(spool, 1)
    failure = shipper_to(receiver.url, token_file=token_file).ship_once().failure
    assert failure is not None
    assert "check token_file" in failure
    assert "wrong" not in failure
    assert len(receiver.bodies) == 1


def test_the_receivers_own_words_are_passed_on(
    receiver: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    status = b"\x08\x10\x12\x14send an ingest token"  # google.rpc.Status(code=16, message=...)
    receiver.answers = [Answer(401, status, {"Content-Type": "application/x-protobuf"})]
    _fill(spool, 1)
    failure = shipper_to(receiver.url).ship_once().failure
    assert failure is not None
    assert "answered 401 send an ingest token; check token_file" in failure


def test_a_missing_token_file_keeps_the_batch(
    receiver: Receiver, spool: Spool, shipper_to: Ship, tmp_path: Path
) -> None:
    _fill(spool, 1)
    failure = shipper_to(receiver.url, token_file=tmp_path / "none").ship_once().failure
    assert failure is not None
    assert "No such file" in failure
    assert receiver.bodies == []


def test_certificates_that_cannot_be_used_are_said_at_the_start(
    spool: Spool, tmp_path: Path
) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    with pytest.raises(SettingsError, match="loading the certificates of destination advisor"):
        Shipper(spool, Destination(url="https://127.0.0.1:9", ca_file=bad))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and client.pem (each with its key), made for this run."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, host in (("server", "127.0.0.1"), ("client", "client.example")):
        authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(
            folder / f"{name}.pem"
        )
    return folder


@pytest.fixture
def mutual(tls: Path) -> Iterator[Receiver]:
    """A receiver that shows a certificate and asks for one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls / "ca.pem")
    context.load_cert_chain(tls / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    opened = Receiver(context)
    opened.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refusals are wanted here
    yield opened
    opened.close()


def test_both_sides_show_a_certificate(
    mutual: Receiver, spool: Spool, shipper_to: Ship, tls: Path
) -> None:
    _fill(spool, 1)
    shipper = shipper_to(
        mutual.url,
        ca_file=tls / "ca.pem",
        client_certificate_file=tls / "client.pem",
        client_key_file=tls / "client.pem",
    )
    assert shipper.ship_once().failure is None
    assert mutual.bodies == [b"batch 1"]


def test_a_receiver_that_is_not_trusted_gets_nothing(
    mutual: Receiver, spool: Spool, shipper_to: Ship
) -> None:
    _fill(spool, 1)
    failure = shipper_to(mutual.url).ship_once().failure
    assert failure is not None
    assert "CERTIFICATE_VERIFY_FAILED" in failure
    assert mutual.bodies == []
    assert spool.counts().spooled == 1


def test_without_a_certificate_the_batch_waits(
    mutual: Receiver, spool: Spool, shipper_to: Ship, tls: Path
) -> None:
    _fill(spool, 1)
    assert shipper_to(mutual.url, ca_file=tls / "ca.pem").ship_once().failure is not None
    assert spool.counts().spooled == 1


def test_a_failure_is_said_once_and_so_is_its_end(
    receiver: Receiver, spool: Spool, shipper_to: Ship, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _fill(spool, 1)
    receiver.answers = [Answer(503)]
    shipper = shipper_to(receiver.url)
    for _ in range(3):
        shipper.ship_once()
    receiver.answers = [TAKEN]
    shipper.ship_once()
    said = [
        record.getMessage().split(" destination")[0]
        for record in caplog.records
        if record.name.startswith("joulewise")
    ]
    assert said == ["delivery failed", "delivery resumed"]
