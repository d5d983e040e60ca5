"""The web app: REST, pages and report of one advisor behind one guard."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

from advisor.api import problem
from advisor.api.contract import Backing
from advisor.api.guard import Csrf, Guard
from advisor.api.paging import known_parameters
from advisor.api.problem import responses
from advisor.api.routes import fleet, health, recommendations, scores, windows

VERSION = "1"
DESCRIPTION = """What each LLM token costs in joules and dollars, why, and what to change next.

Lists are pages: `items` and `next_cursor`. Units are in the names: seconds, joules, watts, bytes,
ratios 0 to 1. An absent figure is null, never 0. A predicted figure is an interval with evidence.
Errors are RFC 9457 problems. Where tokens are configured, send `Authorization: Bearer TOKEN`."""


def create_app(backing: Backing) -> FastAPI:
    """The ASGI app that serves `backing`."""
    app = FastAPI(
        title="Joulewise",
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(known_parameters)],
    )
    app.state.backing = backing
    app.state.csrf = Csrf()
    problem.install(app)
    api = APIRouter(prefix="/api/v1", responses=responses(400, 401, 503))
    for module in (fleet, scores, windows, recommendations):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.add_middleware(Guard, access=backing.access)
    return app
