"""Errors as RFC 9457 problem details: one exception, and all other failures in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from advisor.errors import AdvisorError

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    pointer: str = Field(examples=["query/limit"])
    detail: str


class Problem(BaseModel):
    """A problem as RFC 9457 has it."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no node 'gpu-node-99'; GET /api/v1/nodes lists them."])
    instance: str = Field(examples=["/api/v1/nodes/gpu-node-99"])
    request_id: str | None = None
    errors: list[FieldProblem] = []


class ApiError(Exception):
    """A request that cannot be answered: the status; `detail` is the cause and the next step."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response that tells `detail`: application/problem+json, or a page to a browser."""
    page = getattr(request.app.state, "problem_page", None)
    if page and _is_page(request):
        shown: Response = page(request, status, HTTPStatus(status).phrase, detail)
        return shown
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request.scope.get("joulewise.request_id"),
        errors=errors or [],
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True), status, dict(headers or {}), media_type=MEDIA_TYPE
    )


def _is_page(request: Request) -> bool:
    wants = "text/html" in request.headers.get("accept", "")
    return wants and not request.url.path.startswith("/api/")


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    return FieldProblem(pointer="/".join(str(part) for part in error["loc"]), detail=error["msg"])


def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  registered for this class alone
    return problem_response(request, error.status, error.detail, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class alone
    errors = [_field_problem(item) for item in error.errors()]
    status = 422 if any(item.pointer.startswith("body") for item in errors) else 400
    detail = "The request does not say what this resource needs; see errors and /openapi.json."
    return problem_response(request, status, detail, errors=errors)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class alone
    details = {
        404: f"There is nothing at {request.url.path}; /openapi.json lists what there is.",
        405: f"{request.method} is not possible at {request.url.path}; see /openapi.json.",
    }
    detail = details.get(error.status_code, str(error.detail))
    return problem_response(request, error.status_code, detail, headers=error.headers)


def _refused(request: Request, error: Exception) -> Response:
    return problem_response(request, 503, str(error), headers={"Retry-After": "30"})


def _unexpected(request: Request, _: Exception) -> Response:
    detail = "The advisor failed at this request; its log says where. Other requests go on."
    return problem_response(request, 500, detail)


def install(app: FastAPI) -> None:
    """Make `app` answer every foreseen error as a problem."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(AdvisorError, _refused)
    app.add_exception_handler(Exception, _unexpected)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of these error statuses."""
    return {
        status: {
            "model": Problem,
            "content": {MEDIA_TYPE: {}},
            "description": HTTPStatus(status).phrase,
        }
        for status in statuses
    }
