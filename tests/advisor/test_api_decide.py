"""Decisions about recommendations: who saw what, which may follow which, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from advisor.api.contract import Life
from advisor.api.decide import MOVES, decide, possible
from advisor.api.problem import ApiError

PATH = "/api/v1/recommendations/rec_h100-a_raise_batch_limit"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def client(web: ModuleType) -> Any:
    return web.Client(web.backing(web.assessment()))


def current(client: Any) -> dict[str, str]:
    return {"If-Match": client.get(PATH).headers["etag"]}


def test_accepting_needs_the_etag_that_was_read(client: Any) -> None:
    assert client.post(f"{PATH}:accept").status_code == 428
    assert client.post(f"{PATH}:accept", headers={"If-Match": 'W/"old"'}).status_code == 412
    answer = client.post(f"{PATH}:accept", headers=current(client))
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")


def test_an_etag_is_spent_by_the_decision_taken_on_it(client: Any) -> None:
    etag = current(client)
    assert client.post(f"{PATH}:accept", headers=etag).status_code == 200
    assert client.post(f"{PATH}:snooze", headers=etag).status_code == 412


def test_dismissing_keeps_its_reason(client: Any) -> None:
    answer = client.post(f"{PATH}:dismiss", json={"reason": "latency_slo"}, headers=current(client))
    assert answer.json()["state_reason"] == "latency_slo"
    assert client.get(PATH).json()["state"] == "dismissed"


def test_an_unknown_reason_is_refused_with_its_place(client: Any) -> None:
    answer = client.post(f"{PATH}:dismiss", json={"reason": "tired"}, headers=current(client))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "body/reason"


def test_snoozing_lasts_a_week_unless_said(client: Any) -> None:
    answer = client.post(f"{PATH}:snooze", headers=current(client))
    until = datetime.fromisoformat(answer.json()["snoozed_until"])
    assert timedelta(days=6.9) < until - datetime.now(UTC) < timedelta(days=7.1)


def test_reopening_what_is_open_is_a_conflict(client: Any) -> None:
    answer = client.post(f"{PATH}:reopen", headers=current(client))
    assert answer.status_code == 409
    assert "accept" in answer.json()["detail"]


def test_a_decision_is_seen_by_filters(client: Any) -> None:
    client.post(f"{PATH}:accept", headers=current(client))
    items = client.get("/api/v1/recommendations?state=accepted").json()["items"]
    assert [item["id"] for item in items] == ["rec_h100-a_raise_batch_limit"]


@pytest.mark.parametrize("verb", MOVES)
@pytest.mark.parametrize("state", ["applied", "realized", "expired", "superseded"])
def test_what_telemetry_decided_people_cannot_undo(verb: str, state: str) -> None:
    assert possible(state) == ()
    with pytest.raises(ApiError):
        decide(verb, Life(state), NOW)


@pytest.mark.parametrize("until", [NOW - timedelta(days=1), NOW + timedelta(days=400)])
def test_a_snooze_must_end_in_sight(until: datetime) -> None:
    with pytest.raises(ApiError):
        decide("snooze", Life("open"), NOW, until=until)


def test_a_form_without_its_token_decides_nothing(client: Any) -> None:
    page = "/recommendations/rec_h100-a_raise_batch_limit"
    etag = current(client)["If-Match"]
    answer = client.post(f"{page}/accept", data={"etag": etag, "csrf": "0" * 64})
    assert answer.status_code == 403
    assert client.get(PATH).json()["state"] == "open"


def test_a_form_with_its_token_decides(client: Any) -> None:
    page = "/recommendations/rec_h100-a_raise_batch_limit"
    shown = client.get(page)
    field = {
        name: shown.text.partition(f'name="{name}" value="')[2]
        .partition('"')[0]
        .replace("&#34;", '"')
        for name in ("csrf", "etag")
    }
    cookie = {"Cookie": shown.headers["set-cookie"].partition(";")[0]}
    answer = client.post(f"{page}/accept", data=field, headers=cookie)
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert client.get(PATH).json()["state"] == "accepted"
