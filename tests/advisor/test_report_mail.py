"""The weekly mail: its subject, parts and size, and that it is complete without HTML or images."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from io import StringIO
from types import ModuleType
from typing import Any

import pytest

from advisor.report.rendering import MAX_HTML_BYTES, table


@pytest.fixture(scope="module")
def client(web: ModuleType) -> Any:
    return web.Client(web.backing(web.assessment()))


@pytest.fixture(scope="module")
def mail(client: Any) -> EmailMessage:
    content = client.get("/api/v1/reports/weekly.eml?recipient=ops@example.invalid").content
    found = message_from_bytes(content, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def text_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_subject_carries_the_result(mail: EmailMessage) -> None:
    assert (
        mail["Subject"]
        == "[Joulewise] W47 fleet score 60 (+3) \u00b7 $1.28/1M tok \u00b7 $43k/mo open savings"
    )


def test_a_mail_is_text_and_html_with_its_chart_and_a_table(mail: EmailMessage) -> None:
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain",
        "multipart/related", "text/html", "image/png", "text/csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "header", ["Date", "Message-ID", "List-Id", "List-Unsubscribe", "Auto-Submitted", "From", "To"]
)
def test_a_mail_has_the_headers_of_a_list(mail: EmailMessage, header: str) -> None:
    assert mail[header]


def test_html_stays_below_what_mail_programs_clip(mail: EmailMessage) -> None:
    assert len(text_of(mail, "html").encode()) < MAX_HTML_BYTES


def test_html_has_nothing_that_mail_programs_drop(mail: EmailMessage) -> None:
    content = text_of(mail, "html")
    assert not re.search(r"<svg|<script|<link|data:|@font-face", content)
    styles = re.findall(r"<style>(.*?)</style>", content, re.DOTALL)
    assert sum(map(len, styles)) < 16_000
    assert 'name="color-scheme"' in content


def test_the_chart_is_named_by_its_id_and_told_in_words(mail: EmailMessage) -> None:
    content = text_of(mail, "html")
    picture = next(part for part in mail.walk() if part.get_content_type() == "image/png")
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in content
    assert re.search(r'<img [^>]*width="592" height="176" alt="[^"]{60,}"', content)


def test_plain_text_has_every_action_and_node_and_the_link_to_decide(mail: EmailMessage) -> None:
    content = text_of(mail, "plain")
    for words in (
        "Release 6 of the 8 GPUs",
        "b200-good",
        "$29.4k",
        "memory bandwidth",
        "assistants",
    ):
        assert words in content
    assert "/recommendations/rec_h100-a_raise_batch_limit" in content
    assert "<" not in content


def test_nothing_is_claimed_as_realized(mail: EmailMessage) -> None:
    for kind in ("plain", "html"):
        assert "Nothing is claimed as realized" in text_of(mail, kind)


def test_the_same_report_to_the_same_recipient_has_the_same_message_id(client: Any) -> None:
    ids = [
        message_from_bytes(
            client.get(f"/api/v1/reports/weekly.eml?recipient={to}@x.invalid").content
        )["Message-ID"]
        for to in ("a", "a", "b")
    ]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("recipient", ["a", "a@b@c", "a%0d%0aBcc:x@y.z", "a,b@c.d"])
def test_a_recipient_that_is_no_address_is_refused(client: Any, recipient: str) -> None:
    assert client.get(f"/api/v1/reports/weekly.eml?recipient={recipient}").status_code == 400


def test_a_cell_that_a_spreadsheet_would_run_is_quoted(web: ModuleType) -> None:
    from advisor.report.weekly_job import report_now

    said = web.assessment()
    nodes = (replace(said.fleet.nodes[0], name="=cmd()"), *said.fleet.nodes[1:])
    report = report_now(web.backing(replace(said, fleet=replace(said.fleet, nodes=nodes))))
    names = [row["node"] for row in csv.DictReader(StringIO(table(report)))]
    assert "'=cmd()" in names


def test_a_week_with_nothing_to_do_is_a_mail_all_the_same(web: ModuleType) -> None:
    client = web.Client(web.backing(replace(web.assessment(), recommendations=())))
    assert "nothing to change" in client.get("/api/v1/reports/weekly.eml").text.replace("_", " ")
    assert "Nothing: no rule found" in client.get("/api/v1/reports/weekly.txt").text


def test_a_silent_node_is_listed_apart(web: ModuleType) -> None:
    said = web.assessment()
    first = replace(said.fleet.nodes[0], last_seen=web.NOW - timedelta(hours=3))
    quiet = replace(said, fleet=replace(said.fleet, nodes=(first, *said.fleet.nodes[1:])))
    text = web.Client(web.backing(quiet)).get("/api/v1/reports/weekly.txt").text
    assert "Silent, so not scored as idle: h100-a" in text
    assert "h100-a " not in text.partition("NODES, WORST")[2].partition("WHO USED")[0].replace(
        "h100-a (", ""
    )
