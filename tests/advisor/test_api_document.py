"""docs/rest.md is the OpenAPI document; REST holds against requests made from it."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings

from advisor.api.document import document

DOCUMENT = Path(__file__).parents[2] / "docs" / "rest.md"


def test_the_reference_is_made_from_the_openapi_document(web: ModuleType) -> None:
    """JOULEWISE_REWRITE=1 writes it anew; the diff is the review."""
    made = document(web.Client(web.backing(None)).get("/openapi.json").json())
    if os.environ.get("JOULEWISE_REWRITE"):
        DOCUMENT.write_text(made, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == made


def test_requests_made_from_the_openapi_document_never_break_it(web: ModuleType) -> None:
    app: Any = web.Client(web.backing(web.assessment())).app
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "localhost"})
    few = settings(
        max_examples=3,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    checks = (
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.response_schema_conformance,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
    )
    for result in schema.get_all_operations():
        operation = result.ok()

        @few
        @schemathesis_given(operation)
        def hold(case: Any) -> None:
            case.call_and_validate(headers={"Host": "localhost"}, checks=list(checks))

        hold()


def schemathesis_given(operation: Any) -> Any:
    """Requests of one operation as a hypothesis argument."""
    from hypothesis import given

    return given(case=operation.as_strategy())
