"""The report as HTML, as plain text and as a table; HTML has its styles inline, as mail needs."""

from __future__ import annotations

import base64
import csv
from io import StringIO

import css_inline

from advisor.pages import words
from advisor.pages.environment import plain_environment, render
from advisor.report.charts import Picture, course_picture
from advisor.report.weekly import WeeklyReport

MAX_HTML_BYTES = 60_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def html(report: WeeklyReport, picture: Picture | None, picture_source: str) -> str:
    """The mail's HTML; `picture_source` is the chart's src: a cid in mail, data in a file."""
    written = render(
        "mail/weekly.html",
        report=report,
        picture=picture,
        picture_source=picture_source,
        letters=words.LETTER,
    )
    inliner = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)
    return inliner.inline(written)


def standalone(report: WeeklyReport) -> str:
    """The report as one file that needs nothing else: the chart lies in it as data."""
    picture = course_picture(report.course, report.start, report.end)
    source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}" if picture else ""
    return html(report, picture, source)


def text(report: WeeklyReport) -> str:
    """The mail as plain text, complete."""
    return plain_environment().get_template("mail/weekly.txt").render(report=report)


def table(report: WeeklyReport) -> str:
    """The node table as CSV; cells that a spreadsheet would run are quoted with an apostrophe."""
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(
        (
            "node",
            "serves",
            "gpus",
            "output_tokens_per_s",
            "joules_per_output_token_gpu",
            "usd_per_million_output_tokens",
            "slo_ratio",
            "score_low",
            "diagnosis",
            "to_win_usd_per_month",
        )
    )
    for row in (*report.worst, *report.best):
        cells = (
            row.name,
            row.serves,
            row.gpus,
            row.tokens_per_s.value,
            row.joules.value,
            row.usd.value,
            row.slo.value,
            row.score_low,
            row.diagnosis,
            row.to_win.value,
        )
        writer.writerow([_cell(cell) for cell in cells])
    return file.getvalue()


def _cell(value: str | float | None) -> str | float:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
