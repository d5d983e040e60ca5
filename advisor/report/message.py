"""The report as a mail: text and HTML as alternatives, the chart by its id, the table attached."""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import urlsplit

from advisor.api.contract import ReportAddress
from advisor.report.charts import course_picture
from advisor.report.rendering import html, table, text
from advisor.report.weekly import WeeklyReport

PICTURE_ID = "course"


def message(
    report: WeeklyReport, recipient: str, address: ReportAddress, *, date: datetime
) -> EmailMessage:
    """One mail to one recipient. The same report to the same recipient has the same Message-ID."""
    domain = urlsplit(address.base_url).hostname or "localhost"
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = report.subject
    mail["From"] = address.sender
    mail["To"] = recipient
    mail["Date"] = format_datetime(date)
    mail["Message-ID"] = _message_id(report.id, recipient, domain)
    mail["List-Id"] = f"Joulewise weekly <{address.list_id}>"
    mail["List-Unsubscribe"] = f"<mailto:{_mailbox(address.sender)}?subject=unsubscribe>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(report), cte="quoted-printable")
    picture = course_picture(report.course, report.start, report.end)
    picture_id = f"{PICTURE_ID}.{report.id}@{domain}"
    body = html(report, picture, f"cid:{picture_id}")
    mail.add_alternative(body, subtype="html", cte="quoted-printable")
    if picture:
        rich = mail.get_payload(1)
        assert isinstance(rich, EmailMessage)  # noqa: S101  just added
        rich.add_related(
            picture.png, "image", "png", cid=f"<{picture_id}>", filename="course.png",
            disposition="inline",
        )  # fmt: skip
    mail.add_attachment(table(report), subtype="csv", filename=f"joulewise-{report.week}.csv")
    return mail


def _mailbox(sender: str) -> str:
    return sender.rpartition("<")[2].rstrip(">").strip()


def _message_id(report_id: str, recipient: str, domain: str) -> str:
    digest = hashlib.sha256(recipient.encode()).hexdigest()[:16]
    return f"<{report_id}.{digest}@{domain}>"
