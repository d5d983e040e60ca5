"""The advisor puts a fleet together, assesses it aside and keeps what was said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from advisor.api.contract import Life
from advisor.assessment import Assessment
from advisor.errors import DataFolderError, ListenError, SettingsError, StoreError
from advisor.score.result import DIMENSIONS, Score, Scorecard
from advisor.serve import is_loopback, listen, require_closed, tokens_of
from advisor.service import Advisor, WebState, Worker
from advisor.settings import Assess, Data, Otlp, Settings, TokenFiles, Web
from advisor.store.folder import open_folder
from advisor.store.state import open_state
from advisor.store.windows import Fragment
from advisor.store.windows_duckdb import DuckDbWindows
from advisor.summary import Fleet
from advisor.tokens import Scope, Tokens, hashed, new_secret, token, token_from_file

NOW = datetime(2026, 11, 18, 12, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbWindows]:
    found = DuckDbWindows(tmp_path / "telemetry.duckdb", threads=1)
    yield found
    found.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield found
    found.dispose()


def said(fleet: Fleet, now: datetime) -> Assessment:
    card = Scorecard("node", "h", Score(1, 2), dict.fromkeys(DIMENSIONS, Score(1, 2)), (), 1)
    return Assessment(now, fleet, (card,), (), (), (), (), ())


def batch(store: DuckDbWindows) -> None:
    end_s = NOW.timestamp() - 600
    serving = {"joulewise.engine.name": "vllm", "joulewise.model": "m", "joulewise.gpu.ids": "g"}
    sender = {"host.name": "box", "service.version": "0.1"}
    plain = {"host_id": "h", "epoch": "e", "sequence": 1, "start_s": end_s - 60, "end_s": end_s}
    empty = {"values": {}, "origins": {}, "histograms": {}}
    store.append(
        [
            Fragment("agent", subject_id="e", source="resource", info=sender, **plain, **empty),
            Fragment("instance", subject_id="i", source="vllm", info=serving, **plain, **empty),
        ]
    )


def settings(tmp_path: Path, **changes) -> Settings:
    return replace(Settings(data=Data(directory=tmp_path)), **changes)


def test_a_fleet_is_what_reported_with_its_deployments(
    store: DuckDbWindows, engine: Engine, tmp_path: Path
) -> None:
    batch(store)
    (tmp_path / "deployments.toml").write_text(
        "[[deployment]]\nname = 'chat'\nselector = { host = 'box' }\n"
    )
    fleet = Advisor(settings(tmp_path), store, engine, assessing=said).fleet(NOW)
    assert [node.name for node in fleet.nodes] == ["box"]
    assert [one.instance_ids for one in fleet.deployments] == [("i",)]
    assert fleet.end == NOW
    assert fleet.start == NOW.replace(minute=0) - timedelta(days=7)


def test_nothing_is_assessed_before_anything_reported(
    store: DuckDbWindows, engine: Engine, tmp_path: Path
) -> None:
    assert Advisor(settings(tmp_path), store, engine, assessing=said).refresh(NOW) is None


def test_an_assessment_is_kept_and_its_scores_are_history(
    store: DuckDbWindows, engine: Engine, tmp_path: Path
) -> None:
    batch(store)
    advisor = Advisor(settings(tmp_path), store, engine, assessing=said)
    assert advisor.refresh(NOW) is advisor.assessment
    (moment,) = WebState(engine).score_history("node", "h")
    assert (moment.made_at, moment.low, moment.high) == (NOW, 1.0, 2.0)
    assert WebState(engine).lives() == {}
    assert not WebState(engine).move("unknown", Life(), Life("accepted"))


def test_a_broken_declaration_stops_no_one_and_is_said(
    store: DuckDbWindows, engine: Engine, tmp_path: Path
) -> None:
    batch(store)
    chosen = settings(tmp_path, assess=Assess(deployments_file=tmp_path / "absent.toml"))
    with pytest.raises(SettingsError, match=r"absent\.toml"):
        Advisor(chosen, store, engine, assessing=said).refresh(NOW)


@pytest.mark.slow
def test_the_worker_assesses_in_another_process(
    store: DuckDbWindows, engine: Engine, tmp_path: Path
) -> None:
    batch(store)
    advisor = Advisor(settings(tmp_path), store, engine)
    made = advisor.refresh(NOW)
    advisor.close()
    assert made is not None
    assert made.made_at == NOW


def test_a_closed_worker_may_be_closed_again() -> None:
    worker = Worker()
    worker.close()
    worker.close()


def test_a_data_folder_is_marked_and_held_by_one(tmp_path: Path) -> None:
    with open_folder(tmp_path / "data") as folder:
        assert folder.telemetry.parent == tmp_path / "data"
        with pytest.raises(DataFolderError, match="another advisor"):
            open_folder(tmp_path / "data")
    with open_folder(tmp_path / "data"):
        pass


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataFolderError, match=r"holds notes\.txt"):
        open_folder(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["notes.txt"]


@pytest.mark.parametrize("text", ["{}", "nothing", '{"format": 99}'])
def test_a_marker_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "joulewise.json").write_text(text)
    with pytest.raises(DataFolderError):
        open_folder(tmp_path)


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "gpu.example", "")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"web": Web(host="0.0.0.0")}, "no read token"),
        ({"otlp": Otlp(host="10.0.0.1")}, "no ingest token"),
    ],
)
def test_an_open_bind_needs_a_token(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    chosen = settings(tmp_path, **changes)
    with pytest.raises(ListenError, match=words):
        require_closed(chosen, Tokens())
    require_closed(chosen, Tokens([token("all", new_secret(), [Scope.ADMIN])]))


def test_a_port_in_use_is_said_with_its_setting() -> None:
    with (
        listen("127.0.0.1", 0, "web.port") as taken,
        pytest.raises(ListenError, match=r"web\.port"),
    ):
        listen("127.0.0.1", taken.getsockname()[1], "web.port")


def test_a_token_file_holds_one_token(tmp_path: Path) -> None:
    path = tmp_path / "read.token"
    secret = new_secret()
    path.write_text(f"{secret}\n")
    chosen = settings(tmp_path, tokens=TokenFiles(read_file=path))
    tokens = tokens_of(chosen)
    assert tokens.scopes(secret) == {Scope.READ}
    assert tokens.scopes("anything else") == frozenset()
    assert secret not in repr(token_from_file("read", path, [Scope.READ]))
    assert hashed(secret) in repr(token_from_file("read", path, [Scope.READ]))


@pytest.mark.parametrize("text", ["", "short\n"])
def test_a_file_without_a_token_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(SettingsError, match="joulewise token"):
        token_from_file("read", path, [Scope.READ])


def test_scopes_include_what_they_imply() -> None:
    admin = Tokens([token("a", "a" * 20, [Scope.ADMIN])])
    write = Tokens([token("w", "w" * 20, [Scope.WRITE])])
    assert admin.scopes("a" * 20) == set(Scope)
    assert write.scopes("w" * 20) == {Scope.WRITE, Scope.READ}


def test_a_state_that_does_not_answer_is_said(engine: Engine, tmp_path: Path) -> None:
    WebState(engine).check()
    engine.dispose()
    (tmp_path / "state.sqlite").write_bytes(b"not a database at all" * 400)
    with pytest.raises(StoreError, match="does not answer"):
        WebState(engine).check()
