"""The web app: REST, pages and report of one advisor behind one guard."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from starlette.staticfiles import StaticFiles

from advisor.api import problem
from advisor.api.contract import Backing
from advisor.api.guard import Csrf, Guard
from advisor.api.paging import known_parameters
from advisor.api.problem import responses
from advisor.api.ranges import Ranges
from advisor.api.routes import fleet, health, recommendations, reports, scores, windows
from advisor.pages import routes as pages

VERSION = "1"
STATIC = Path(pages.__file__).parent / "static"
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
    app.state.ranges = Ranges(backing.advisor, backing.assessing)
    problem.install(app)
    api = APIRouter(prefix="/api/v1", responses=responses(400, 401, 422, 503))
    for module in (fleet, scores, windows, recommendations, reports):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(pages.router)
    app.state.problem_page = pages.problem_page
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, access=backing.access)
    return app
