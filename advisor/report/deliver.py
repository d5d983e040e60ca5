"""Sends what the outbox holds over SMTP, each mail at most once.

A mail is claimed before it is offered to the server and marked after the server took it. Where
the process dies, or the line breaks, between the server's acceptance and the mark, nobody can know:
such a mail stays `uncertain` and is not sent again, because a second copy to everyone is worse than
one missing report that the log names.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY
from email.utils import parseaddr
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from advisor.errors import SettingsError
from advisor.settings import Report
from advisor.store import outbox
from advisor.store.outbox import Outgoing

log = logging.getLogger("joulewise.report")
TIMEOUT_S = 30.0


class RefusedError(Exception):
    """The server said no for good (5xx)."""


class LaterError(Exception):
    """The server surely did not take the mail, and may later (4xx, no connection)."""


class UncertainError(Exception):
    """The line broke after the mail was on it: the server may have taken it."""


@dataclass(frozen=True, slots=True)
class Transport:
    """Where mail goes out. Without TLS only to this machine."""

    host: str
    port: int
    security: str = "none"
    user: str = ""
    password: str = ""
    timeout_s: float = TIMEOUT_S


def transport(report: Report) -> Transport:
    """The transport that the settings name.

    Raises:
        SettingsError: it would send in the clear beyond this machine, or has no password.
    """
    if report.smtp_security == "none" and not _is_loopback(report.smtp_host):
        raise SettingsError(
            f"sending mail by {report.smtp_host}:{report.smtp_port}: report.smtp_security is "
            "'none', and the server is not this machine; set it to 'starttls' or 'tls'"
        )
    password = _password(report) if report.smtp_user else ""
    return Transport(
        report.smtp_host, report.smtp_port, report.smtp_security, report.smtp_user, password
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(report: Report) -> str:
    path = report.smtp_password_file
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if path is None and credentials:
        path = Path(credentials) / "smtp_password"
    if path is None:
        raise SettingsError(
            f"logging in to {report.smtp_host} as {report.smtp_user}: there is no password; "
            "set report.smtp_password_file"
        )
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"reading the SMTP password {path}: {error.strerror}") from error


@contextmanager
def connection(to: Transport) -> Iterator[smtplib.SMTP]:
    """A session with the mail server, secured and logged in."""
    context = ssl.create_default_context()
    if to.security == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            to.host, to.port, timeout=to.timeout_s, context=context
        )
    else:
        client = smtplib.SMTP(to.host, to.port, timeout=to.timeout_s)
    try:
        if to.security == "starttls":
            client.starttls(context=context)
        if to.user:
            client.login(to.user, to.password)
        yield client
        with suppress(OSError):
            client.quit()
    finally:
        client.close()


def offer(mail: Outgoing, to: Transport) -> None:
    """Offer one mail to the server; return when the server took it.

    Raises:
        LaterError, RefusedError: it surely did not. UncertainError: nobody knows.
    """
    sender = parseaddr(str(message_from_bytes(mail.message, policy=SMTP_POLICY)["From"]))[1]
    try:
        with connection(to) as client:
            client.ehlo_or_helo_if_needed()
            _require(client.mail(sender))
            _require(client.rcpt(mail.recipient))
            _hand_over(client, mail.message)
    except smtplib.SMTPResponseException as error:
        _refuse(error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        raise LaterError(f"{to.host}:{to.port}: {error}") from error


def _hand_over(client: smtplib.SMTP, message: bytes) -> None:
    try:
        _require(client.data(message))
    except smtplib.SMTPDataError:
        raise
    except (OSError, smtplib.SMTPServerDisconnected) as error:
        raise UncertainError(f"the connection broke at the hand-over: {error}") from error


def _require(answer: tuple[int, bytes]) -> None:
    code, text = answer
    if code not in (250, 251, 252):
        _refuse(code, text)


def _refuse(code: int, text: bytes | str) -> None:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    kind = RefusedError if code >= 500 else LaterError
    raise kind(f"the server answered {code} {said}")


Clock = Callable[[], datetime]


def send_due(engine: Engine, to: Transport, clock: Clock) -> dict[str, int]:
    """Send every mail that is due; how many were sent, put off, refused or left uncertain."""
    with Session(engine) as session:
        due = outbox.claim_due(session, clock())
    counts = {"sent": 0, "later": 0, "refused": 0, "uncertain": 0}
    for mail in due:
        counts[_send(engine, mail, to, clock)] += 1
    return counts


def _send(engine: Engine, mail: Outgoing, to: Transport, clock: Clock) -> str:
    try:
        offer(mail, to)
    except LaterError as error:
        outcome, said = "later", str(error)
    except RefusedError as error:
        outcome, said = "refused", str(error)
    except UncertainError as error:
        outcome, said = "uncertain", str(error)
    else:
        outcome, said = "sent", ""
    _mark(engine, mail, outcome, said, clock())
    level = logging.INFO if outcome == "sent" else logging.WARNING
    log.log(level, "mail %s report=%s to=%s %s", outcome, mail.report_id, mail.recipient, said)
    return outcome


def _mark(engine: Engine, mail: Outgoing, outcome: str, said: str, now: datetime) -> None:
    with Session(engine) as session:
        if outcome == "sent":
            outbox.mark_sent(session, mail.id, now)
        elif outcome == "later":
            outbox.mark_failed(session, mail.id, said, now)
        elif outcome == "refused":
            outbox.mark_refused(session, mail.id, said)
        else:
            outbox.mark_uncertain(session, mail.id, said)
