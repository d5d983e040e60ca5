"""Who may ask, from where, and what every response carries."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from advisor.api.contract import Access
from advisor.tokens import Scope, Tokens, token

READ, WRITE, INGEST = "read-token-0123456789", "write-token-0123456789", "ingest-token-0123456789"


@pytest.fixture(scope="module")
def closed(web: ModuleType) -> Any:
    """An app whose tokens are configured."""
    tokens = Tokens(
        [
            token("r", READ, [Scope.READ]),
            token("w", WRITE, [Scope.WRITE]),
            token("i", INGEST, [Scope.INGEST]),
        ]
    )
    return web.Client(web.backing(web.assessment(), access=Access(scopes_of=tokens.scopes)))


@pytest.fixture(scope="module")
def open_(web: ModuleType) -> Any:
    """An app without tokens."""
    return web.Client(web.backing(web.assessment()))


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""]
)
def test_a_foreign_host_is_refused(open_: Any, host: str) -> None:
    assert open_.get("/api/v1/nodes", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"])
def test_this_machine_by_any_of_its_names_is_served(open_: Any, host: str) -> None:
    assert open_.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9", "http://localhost"]
)
def test_an_unsafe_method_from_another_origin_is_refused(open_: Any, origin: str) -> None:
    answer = open_.post("/api/v1/assessments:refresh", headers={"Origin": origin})
    assert answer.status_code == 403


def test_an_unsafe_method_from_another_site_is_refused_without_an_origin(open_: Any) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert open_.post("/api/v1/assessments:refresh", headers=headers).status_code == 403


def test_our_own_origin_may_act(open_: Any) -> None:
    headers = {"Origin": "http://localhost:8080"}
    assert open_.post("/api/v1/assessments:refresh", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/v1/nodes", "/openapi.json", "/metrics", "/", "/nodes/h100-a"]
)
def test_without_a_token_nothing_is_shown(closed: Any, path: str) -> None:
    answer = closed.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_browser_without_a_token_is_led_to_sign_in(closed: Any) -> None:
    answer = closed.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/sign-in", "/static/app.css"])
def test_probes_and_signing_in_need_no_token(closed: Any, path: str) -> None:
    assert closed.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/livezz", "/static", "/readyz/x"])
def test_paths_that_look_like_open_ones_are_closed(closed: Any, path: str) -> None:
    assert closed.get(path).status_code == 401


@pytest.mark.parametrize(
    ("text", "status"), [(READ, 200), (WRITE, 200), (INGEST, 401), ("wrong", 401)]
)
def test_reading_needs_a_token_that_may_read(closed: Any, text: str, status: int) -> None:
    assert closed.get("/api/v1/nodes", headers=bearer(text)).status_code == status


def test_writing_needs_a_token_that_may_write(closed: Any) -> None:
    path = "/api/v1/assessments:refresh"
    assert closed.post(path, headers=bearer(READ)).status_code == 403
    assert closed.post(path, headers=bearer(WRITE)).status_code == 200


def test_signing_in_keeps_the_token_where_scripts_cannot_see_it(closed: Any) -> None:
    origin = {"Origin": "http://localhost:8080"}
    answer = closed.post("/sign-in", data={"token": READ}, headers=origin)
    assert answer.status_code == 303
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    shown = closed.get("/", headers={"Cookie": answer.headers["set-cookie"].partition(";")[0]})
    assert shown.status_code == 200


def test_signing_in_with_a_wrong_token_is_refused(closed: Any) -> None:
    assert closed.post("/sign-in", data={"token": "wrong"}).status_code == 401


def test_a_cookie_that_cannot_be_parsed_is_no_token(closed: Any) -> None:
    assert (
        closed.get("/api/v1/nodes", headers={"Cookie": "joulewise_token; =;;"}).status_code == 401
    )


@pytest.mark.parametrize("path", ["/", "/api/v1/nodes", "/nope", "/static/app.css"])
def test_every_response_is_hardened(open_: Any, path: str) -> None:
    headers = open_.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-request-id"]


def test_the_report_may_carry_styles_but_never_script(open_: Any) -> None:
    policy = open_.get("/api/v1/reports/weekly.html").headers["content-security-policy"]
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
