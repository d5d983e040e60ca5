"""The web pages and the forms on them; every figure comes from the values REST is made of."""

from __future__ import annotations

import dataclasses
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from advisor.api.contract import Backing
from advisor.api.decide import DismissReason
from advisor.api.guard import CSRF_COOKIE, TOKEN_COOKIE, Csrf, cookie, needs, scopes
from advisor.api.problem import ApiError
from advisor.api.ranges import RangeName
from advisor.api.request import Backed, Ranged
from advisor.api.routes.recommendations import find, move
from advisor.pages.advice import line
from advisor.pages.environment import render
from advisor.pages.fleet_view import fleet_view
from advisor.pages.node_view import NodeView, node_view
from advisor.pages.recommendation_view import recommendation_values
from advisor.pages.scope import Scope, View
from advisor.pages.sources import sources
from advisor.pages.tiles import Before, losses

router = APIRouter(include_in_schema=False)
MAX_FORM_BYTES = 10_000
Text = Annotated[str, Query(max_length=200)]


def view(
    *,
    range_name: Annotated[RangeName | None, Query(alias="range")] = None,
    team: Text = "",
    deployment: Text = "",
    model: Text = "",
    gpu: Text = "",
) -> View:
    """Range and scope from the URL."""
    return View(range_name, Scope(team, deployment, model, gpu))


Viewed = Annotated[View, Depends(view)]


def _html(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(render(f"pages/{name}", **{"here": "", "query": ""} | values), status)


@router.get("/")
def fleet_page(
    backed: Backed,
    ranged: Ranged,
    viewed: Viewed,
    sort: Annotated[Literal["to_win", "score", "idle", "cost", "name"], Query()] = "to_win",
) -> Response:
    """The fleet in ten seconds."""
    assessment = ranged.over(viewed.range)
    if assessment is None:
        return _html("empty.html")
    before = Before(ranged.before(assessment), backed.state.score_history("fleet", "fleet"))
    shown = fleet_view(
        assessment, backed.state.lives(), before, viewed, now=datetime.now(UTC), sort=sort
    )
    return _html(
        "fleet.html",
        here="fleet",
        query=viewed.query(),
        range_query=viewed.range or "",
        fleet=shown,
        funnel_title=_funnel_title(shown.funnel),
        funnel_losses=losses(shown.funnel),
        made_at=assessment.made_at.isoformat(),
        sources=sources(assessment.coefficients),
    )


def _funnel_title(funnel: tuple[Any, ...]) -> str:
    known = [stage for stage in funnel if stage.share is not None]
    if not known:
        return "Where the GPU-hours go"
    last = known[-1]
    return f"{last.share * 100:.0f} % of GPU-hours are {last.label.lower()}"


@router.get("/nodes/{node_id}")
def node_page(backed: Backed, ranged: Ranged, viewed: Viewed, node_id: str) -> Response:
    """One node, to be argued over."""
    assessment = ranged.over(viewed.range)
    if assessment is None:
        return _html("empty.html")
    node = next((n for n in assessment.fleet.nodes if n.id == node_id), None)
    if node is None:
        raise ApiError(404, f"There is no node '{node_id}'; the fleet page lists them.")
    shown = node_view(assessment, node, backed.state.lives(), viewed, now=datetime.now(UTC))
    return _html(
        "node.html",
        query=viewed.query(),
        range_query=viewed.range or "",
        node=shown,
        charts_json=_json(_charts(shown)),
        curves_json=_json([dataclasses.asdict(curve) for curve in shown.curves]),
        windows_href=_windows_href(shown),
    )


def _json(value: Any) -> Any:
    """Data for a script element: JSON that cannot close it."""
    from markupsafe import Markup

    text = json.dumps(value, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704


def _charts(shown: NodeView) -> dict[str, Any]:
    return dataclasses.asdict(shown.charts) | {
        "start": _rfc3339(shown.charts.start),
        "end": _rfc3339(shown.charts.end),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _windows_href(shown: NodeView) -> str:
    charts = shown.charts
    return (
        f"/api/v1/windows?kind=node&id={quote(charts.node)}&start={_rfc3339(charts.start)}"
        f"&end={_rfc3339(charts.end)}&step={charts.step_s}"
    )


@router.get("/recommendations")
def recommendations_page(backed: Backed) -> Response:
    """All advice, and why the other rules said nothing."""
    assessment = backed.advisor.assessment
    if assessment is None:
        return _html("empty.html")
    lives = backed.state.lives()
    ranked = sorted(assessment.recommendations, key=lambda item: (item.rank, item.id))
    return _html(
        "recommendations.html",
        here="recommendations",
        lines=[line(item, lives) for item in ranked],
        not_fired=assessment.not_fired,
    )


@router.get("/recommendations/{recommendation_id}")
def recommendation_page(request: Request, backed: Backed, recommendation_id: str) -> Response:
    """One recommendation with its forms."""
    assessment = backed.advisor.assessment
    if assessment is None:
        return _html("empty.html")
    item = find(assessment, recommendation_id)
    session = cookie(request.headers, CSRF_COOKIE) or secrets.token_urlsafe(16)
    csrf: Csrf = request.app.state.csrf
    values = recommendation_values(item, backed.state.lives())
    response = _html("recommendation.html", csrf=csrf.token(session), **values)
    _set_cookie(response, CSRF_COOKIE, session, backed)
    return response


def _set_cookie(response: Response, name: str, value: str, backed: Backing) -> None:
    secure = backed.access.secure_cookies
    response.set_cookie(name, value, httponly=True, samesite="strict", secure=secure, path="/")


async def form(request: Request) -> dict[str, str]:
    """The fields of a posted form, each once."""
    body = await request.body()
    if len(body) > MAX_FORM_BYTES:
        raise ApiError(413, f"A form holds {MAX_FORM_BYTES} bytes at most.")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
    return {name: values[0] for name, values in fields.items()}


Form = Annotated[dict[str, str], Depends(form)]
Verb = Literal["accept", "snooze", "dismiss", "reopen"]


@router.post("/recommendations/{recommendation_id}/{verb}", dependencies=[Depends(needs("write"))])
def decide_form(
    *, request: Request, backed: Backed, recommendation_id: str, verb: Verb, posted: Form
) -> Response:
    """What a form on the recommendation's page decided."""
    csrf: Csrf = request.app.state.csrf
    csrf.check(cookie(request.headers, CSRF_COOKIE), posted.get("csrf", ""))
    assessment = backed.advisor.assessment
    if assessment is None:
        raise ApiError(503, "There is no assessment to decide on yet.")
    item = find(assessment, recommendation_id)
    reason, until = _details(verb, posted)
    move(backed, item, verb, posted.get("etag"), reason=reason, until=until)
    return RedirectResponse(f"/recommendations/{quote(item.id)}", 303)


def _details(verb: str, posted: dict[str, str]) -> tuple[DismissReason | None, datetime | None]:
    if verb == "snooze":
        days = posted.get("days", "7")
        if not days.isdecimal():
            raise ApiError(422, "Snooze for a number of days.")
        return None, datetime.now(UTC) + timedelta(days=min(int(days), 1000))
    if verb == "dismiss":
        if posted.get("reason") not in set(DismissReason):
            raise ApiError(422, "Say why: choose one of the reasons.")
        return DismissReason(posted["reason"]), None
    return None, None


@router.get("/fragments/fresh")
def fresh_fragment(backed: Backed, made_at: Annotated[str, Query(max_length=64)]) -> Response:
    """Says that newer figures are there, to a page that shows older ones."""
    latest = backed.advisor.assessment
    if latest is None or latest.made_at.isoformat() == made_at:
        return HTMLResponse("")
    return HTMLResponse(
        '<p class="banner" role="status">Newer figures are ready. <a href="">Reload</a></p>'
    )


@router.get("/sign-in")
def sign_in_page() -> Response:
    """Asks for a token."""
    return _html("sign_in.html", refused=False)


@router.post("/sign-in")
def sign_in(backed: Backed, posted: Form) -> Response:
    """Keep a token that may read in a cookie that scripts cannot see."""
    token = posted.get("token", "").strip()
    scopes_of = backed.access.scopes_of
    if scopes_of is not None and not {"read", "write", "admin"} & scopes_of(token):
        return _html("sign_in.html", 401, refused=True)
    response = RedirectResponse("/", 303)
    if scopes_of is not None:
        _set_cookie(response, TOKEN_COOKIE, token, backed)
    return response


def problem_page(request: Request, status: int, title: str, detail: str) -> Response:
    """An error as a page."""
    signed_in = bool(scopes(request.headers, request.app.state.backing.access))
    return _html("problem.html", status, title=title, detail=detail, signed_in=signed_in)
