"""The receiver answers after the commit, refuses in words and never takes more than it can hold."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from advisor.errors import StoreError
from advisor.receive.app import create_receiver
from advisor.receive.commit import CommitQueue
from advisor.store.windows import Fragment
from advisor.tokens import Scope, Tokens, token

LIMIT = 100_000
INGEST = "ingest-token-of-the-test"
READ = "read-token-of-the-test"


def body(value: float = 1.0, name: str = "hw.power") -> bytes:
    message = ExportMetricsServiceRequest()
    part = message.resource_metrics.add()
    for key, text in {"host.id": "h", "service.instance.id": "e"}.items():
        part.resource.attributes.add(key=key).value.string_value = text
    part.resource.attributes.add(key="joulewise.batch.sequence").value.int_value = 1
    part.resource.attributes.add(key="joulewise.window.duration").value.double_value = 60.0
    metric = part.scope_metrics.add().metrics.add(name=name)
    point = metric.gauge.data_points.add(time_unix_nano=10**18, as_double=value)
    point.attributes.add(key="hw.id").value.string_value = "g"
    return message.SerializeToString()


class Store:
    """Keeps what is appended; waits or fails when told to."""

    def __init__(self) -> None:
        self.kept: list[Fragment] = []
        self.groups: list[int] = []
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.entered = threading.Event()
        self.error: Exception | None = None

    def append(self, fragments: Sequence[Fragment]) -> int:
        self.entered.set()
        self.may_commit.wait(10)
        if self.error:
            raise self.error
        self.kept += fragments
        self.groups.append(len(fragments))
        return len(fragments)


@contextmanager
def serving(store: Store, tokens: Tokens, *, length: int = 16) -> Iterator[httpx.Client]:
    commits = CommitQueue(store, length=length)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = create_receiver(commits, tokens, max_body_bytes=LIMIT)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    port = listener.getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        client.commits = commits  # type: ignore[attr-defined]
        yield client
    server.should_exit = True
    thread.join(10)
    store.may_commit.set()
    commits.close()
    listener.close()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(store: Store) -> Iterator[httpx.Client]:
    with serving(store, Tokens()) as found:
        yield found


def post(client: httpx.Client, content: bytes, **headers: str) -> httpx.Response:
    said = {"content-type": "application/x-protobuf"}
    said |= {key.replace("_", "-"): value for key, value in headers.items()}
    return client.post("/v1/metrics", content=content, headers=said)


def test_what_is_acknowledged_is_committed(client: httpx.Client, store: Store) -> None:
    answer = post(client, body())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert answer.content == b""
    assert {f.subject_id for f in store.kept} == {"g", "e"}


def test_gzip_is_read(client: httpx.Client, store: Store) -> None:
    assert post(client, gzip.compress(body()), content_encoding="gzip").status_code == 200
    assert store.kept


def test_points_that_are_not_kept_are_a_partial_success(client: httpx.Client) -> None:
    answer = ExportMetricsServiceResponse()
    answer.ParseFromString(post(client, body(name="some.metric")).content)
    assert answer.partial_success.rejected_data_points == 1
    assert answer.partial_success.error_message == "unknown metric some.metric: 1"


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"\xff\xff\xff", {}, 400, "binary protobuf"),
        (body()[:-4], {}, 400, "cannot read"),
        (b"{}", {"content_type": "application/json"}, 415, "send application/x-protobuf"),
        (b"", {"content_encoding": "br"}, 415, "send gzip"),
        (b"not gzip", {"content_encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(body())[:-12], {"content_encoding": "gzip"}, 400, "ends early"),
        (b"x" * (LIMIT + 1), {}, 413, "smaller batches"),
        (gzip.compress(b"0" * 50_000_000), {"content_encoding": "gzip"}, 413, "smaller batches"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(
    client: httpx.Client,
    store: Store,
    content: bytes,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    answer = post(client, content, **headers)
    assert answer.status_code == status
    assert words in answer.text
    assert not store.kept
    assert client.get("/livez").status_code == 200


def test_an_ingest_token_is_asked_for_where_there_is_one(store: Store) -> None:
    tokens = Tokens([token("a", INGEST, [Scope.INGEST]), token("b", READ, [Scope.READ])])
    with serving(store, tokens) as client:
        assert post(client, body()).status_code == 401
        assert post(client, body(), authorization="Bearer wrong").status_code == 401
        assert post(client, body(), authorization=f"Basic {INGEST}").status_code == 401
        assert post(client, body(), authorization=f"Bearer {READ}").status_code == 403
        assert not store.kept
        assert post(client, body(), authorization=f"Bearer {INGEST}").status_code == 200


def test_a_store_that_fails_is_not_acknowledged(client: httpx.Client, store: Store) -> None:
    store.error = StoreError("the disk is full")
    answer = post(client, body())
    assert answer.status_code == 503
    assert "the disk is full" in answer.text
    assert int(answer.headers["retry-after"]) > 0
    store.error = None
    assert post(client, body()).status_code == 200


def test_an_error_nobody_foresaw_may_be_sent_again(client: httpx.Client, store: Store) -> None:
    store.error = RuntimeError("surprise")
    answer = post(client, body())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_gzip_body_with_more_behind_it_is_not_acknowledged(client: httpx.Client) -> None:
    twice = gzip.compress(body()) * 2
    assert post(client, twice, **{"content-encoding": "gzip"}).status_code == 400


def test_a_full_queue_asks_to_come_back_later(store: Store) -> None:
    store.may_commit.clear()
    with serving(store, Tokens(), length=1) as client:
        commits = client.commits  # type: ignore[attr-defined]
        commits.submit([])
        assert store.entered.wait(5)
        commits.submit([])
        answer = post(client, body())
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "send it again later" in answer.text


def test_what_waits_is_committed_in_one_group() -> None:
    store = Store()
    store.may_commit.clear()
    commits = CommitQueue(store, length=16, group=8)
    first = commits.submit([])
    assert store.entered.wait(5)
    futures = [commits.submit(["x"]) for _ in range(5)]  # type: ignore[list-item]
    store.may_commit.set()
    for future in (first, *futures):
        future.result(5)
    commits.close()
    assert store.groups == [0, 5]


def test_closing_commits_what_waits_and_takes_nothing_more() -> None:
    store = Store()
    store.may_commit.clear()
    commits = CommitQueue(store)
    futures = [commits.submit(["x"]) for _ in range(3)]  # type: ignore[list-item]
    store.may_commit.set()
    commits.close()
    assert all(future.done() for future in futures)
    assert len(store.kept) == 3
    with pytest.raises(Exception, match="is stopping"):
        commits.submit([])


def test_health_says_whether_commits_are_possible(client: httpx.Client) -> None:
    assert client.get("/livez").text == "live\n"
    assert client.get("/readyz").text == "ready\n"
    assert client.get("/v1/metrics").status_code == 405
