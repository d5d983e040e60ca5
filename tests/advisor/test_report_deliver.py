"""Sending: each mail arrives once, whatever happens between the server's acceptance and the mark."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import Engine
from sqlmodel import Session

from advisor.errors import SettingsError
from advisor.report.deliver import Transport, offer, send_due, transport
from advisor.report.weekly_job import enqueue_report
from advisor.settings import Report
from advisor.store import outbox
from advisor.store.state import open_state

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Inbox:
    """Takes mail, or answers as it is told."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, bytes]] = []
        self.answer = "250 OK"
        self.port = free_port()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        if self.answer == "break":
            server.transport.abort()
        if self.answer.startswith("2"):
            self.mails += [(to, envelope.content) for to in envelope.rcpt_tos]
        return self.answer


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    handler = Inbox()
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    yield handler
    controller.stop()


@pytest.fixture
def to(inbox: Inbox) -> Transport:
    return Transport("127.0.0.1", inbox.port, timeout_s=5)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Engine]:
    engine = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield engine
    engine.dispose()


def filled(web: ModuleType, state: Engine) -> Any:
    from advisor.api.contract import ReportAddress

    recipients = ("a@example.invalid", "b@example.invalid")
    backing = web.backing(web.assessment(), report=ReportAddress(recipients=recipients))
    assert enqueue_report(backing, state, NOW) == 2
    return backing


def later(minutes: int = 0) -> Any:
    return lambda: NOW + timedelta(minutes=minutes)


def test_each_recipient_gets_one_mail_though_the_run_is_repeated(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    backing = filled(web, state)
    assert send_due(state, to, later())["sent"] == 2
    assert enqueue_report(backing, state, NOW + timedelta(minutes=5)) == 0
    assert send_due(state, to, later(5)) == {"sent": 0, "later": 0, "refused": 0, "uncertain": 0}
    assert sorted(who for who, _ in inbox.mails) == ["a@example.invalid", "b@example.invalid"]


def test_a_death_between_acceptance_and_mark_sends_nothing_again(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    filled(web, state)
    with Session(state) as session:
        first = outbox.claim_due(session, NOW, limit=1)[0]
    offer(first, to)  # accepted; the process dies here, before its mark
    assert send_due(state, to, later(30))["sent"] == 1
    assert send_due(state, to, later(600))["sent"] == 0
    assert len(inbox.mails) == 2
    with Session(state) as session:
        assert [found[2] for found in outbox.unsettled(session)] == ["uncertain"]


def test_a_server_that_is_busy_gets_the_mail_later(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    filled(web, state)
    inbox.answer = "451 try again"
    assert send_due(state, to, later())["later"] == 2
    inbox.answer = "250 OK"
    assert send_due(state, to, later())["sent"] == 0
    assert send_due(state, to, later(3))["sent"] == 2


def test_a_server_that_refuses_is_not_asked_again(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    filled(web, state)
    inbox.answer = "554 no"
    assert send_due(state, to, later())["refused"] == 2
    inbox.answer = "250 OK"
    assert send_due(state, to, later(100_000))["sent"] == 0


def test_no_server_puts_the_mail_off(web: ModuleType, state: Engine) -> None:
    filled(web, state)
    assert send_due(state, Transport("127.0.0.1", free_port(), timeout_s=2), later())["later"] == 2


def test_a_line_that_breaks_at_the_hand_over_leaves_the_mail_uncertain(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    filled(web, state)
    inbox.answer = "break"
    assert send_due(state, to, later())["uncertain"] == 2
    inbox.answer = "250 OK"
    assert send_due(state, to, later(100_000))["sent"] == 0


def test_what_arrives_is_the_mail_that_was_made(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    filled(web, state)
    send_due(state, to, later())
    assert b"Subject: [Joulewise] W47" in inbox.mails[0][1]
    assert b"multipart/mixed" in inbox.mails[0][1]


@pytest.mark.parametrize("host", ["mail.example.com", "10.0.0.1"])
def test_mail_leaves_this_machine_only_over_tls(host: str) -> None:
    with pytest.raises(SettingsError, match="starttls"):
        transport(Report(smtp_host=host))
    assert transport(Report(smtp_host=host, smtp_security="starttls")).security == "starttls"


def test_a_login_without_a_password_is_refused_with_the_next_step() -> None:
    with pytest.raises(SettingsError, match="smtp_password_file"):
        transport(Report(smtp_user="joulewise"))


def test_starttls_that_the_server_does_not_offer_sends_nothing(
    web: ModuleType, state: Engine, inbox: Inbox, to: Transport
) -> None:
    filled(web, state)
    secured = Transport(to.host, to.port, "starttls", timeout_s=5)
    assert send_due(state, secured, later())["later"] == 2
    assert inbox.mails == []
