"""The weekly report as it would be sent now: as a page, as plain text, as a mail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from advisor.api.request import Backed, Latest, Ranged
from advisor.report.message import message
from advisor.report.rendering import standalone, text
from advisor.report.weekly import WeeklyReport, weekly_report

router = APIRouter(tags=["reports"])
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
"""The report carries its styles and its chart in itself, and no script."""
Recipient = Annotated[
    str, Query(max_length=254, pattern=r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$", description="To")
]


def report_of(backed: Backed, assessment: Latest, ranged: Ranged) -> WeeklyReport:
    """The report on an assessment, with what was before."""
    history = backed.state.score_history("fleet", "fleet")
    before = ranged.before(assessment)
    return weekly_report(assessment, backed.state.lives(), history, before, backed.report)


@router.get("/reports/weekly.html", response_class=HTMLResponse)
def get_report_html(backed: Backed, assessment: Latest, ranged: Ranged) -> Response:
    """The report as a page that needs nothing else."""
    report = report_of(backed, assessment, ranged)
    return HTMLResponse(standalone(report), headers={"Content-Security-Policy": REPORT_POLICY})


@router.get("/reports/weekly.txt", response_class=PlainTextResponse)
def get_report_text(backed: Backed, assessment: Latest, ranged: Ranged) -> Response:
    """The report as plain text."""
    return PlainTextResponse(text(report_of(backed, assessment, ranged)))


@router.get(
    "/reports/weekly.eml",
    response_class=Response,
    responses={200: {"content": {"message/rfc822": {}}, "description": "A mail as sent."}},
)
def get_report_mail(
    backed: Backed,
    assessment: Latest,
    ranged: Ranged,
    recipient: Recipient = "someone@example.invalid",
) -> Response:
    """The report as the mail that `recipient` would get."""
    report = report_of(backed, assessment, ranged)
    mail = message(report, recipient, backed.report, date=datetime.now(UTC))
    headers = {
        "Content-Disposition": 'attachment; filename="weekly.eml"',
        "X-Joulewise-Report": report.id,
    }
    return Response(mail.as_bytes(), media_type="message/rfc822", headers=headers)
