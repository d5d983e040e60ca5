"""Everything that can be set on an advisor: name, type, default and meaning, each in one place.

Where the values come from is `config`'s part; docs/settings.md is made from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from advisor.errors import SettingsError

HIDDEN = "hidden"
"""Marks a setting whose value may hold a secret and is never shown."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """`[data]`: what is kept on disk."""

    directory: Annotated[Path, "folder of telemetry and state; under systemd $STATE_DIRECTORY"] = (
        Path("/var/lib/joulewise")
    )
    memory_limit: Annotated[str, "most memory the telemetry store may take"] = "1GB"
    threads: Annotated[int, "threads a query of the telemetry store may take"] = 2
    state_url: Annotated[
        str,
        "database of the state; empty: SQLite in the folder, else postgresql+psycopg://",
        HIDDEN,
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """`[web]`: pages and REST."""

    host: Annotated[str, "address to listen on; other than loopback needs a read token"] = (
        "127.0.0.1"
    )
    port: Annotated[int, "port to listen on; 0 picks a free one"] = 8080
    allowed_hosts: Annotated[
        tuple[str, ...], "names this advisor is called by, besides loopback's and `host`"
    ] = ()
    base_url: Annotated[
        str, "address that links in mails lead to; empty: made of host and port"
    ] = ""
    secure_cookies: Annotated[bool, "send cookies over TLS only"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Otlp:
    """`[otlp]`: where agents send to."""

    host: Annotated[str, "address to listen on; other than loopback needs an ingest token"] = (
        "127.0.0.1"
    )
    port: Annotated[int, "port to listen on; 0 picks a free one"] = 4318
    max_body_bytes: Annotated[int, "largest request, after decompression"] = 16 * 1024 * 1024
    queue_requests: Annotated[int, "requests that may wait for their commit"] = 256
    group_requests: Annotated[int, "requests committed together at most"] = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFiles:
    """`[tokens]`: files with one bearer token each; no file, no token needed on loopback."""

    ingest_file: Annotated[Path | None, "token of the agents"] = None
    read_file: Annotated[Path | None, "token that may look"] = None
    write_file: Annotated[Path | None, "token that may also decide about advice"] = None
    admin_file: Annotated[Path | None, "token that may everything"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assess:
    """`[assess]`: how the fleet is judged."""

    every_minutes: Annotated[int, "minutes between assessments; divides an hour"] = 5
    days: Annotated[int, "days of summaries an assessment takes"] = 7
    deployments_file: Annotated[
        Path | None, "deployments.toml; absent: in the data folder, else in /etc/joulewise"
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`[report]`: the weekly mail."""

    recipients: Annotated[tuple[str, ...], "addresses; none: no mail is sent"] = ()
    sender: Annotated[str, "address the mail comes from"] = "joulewise@localhost"
    weekday: Annotated[str, "day it is sent"] = "monday"
    hour: Annotated[int, "hour it is sent, 0..23, in `zone`"] = 8
    zone: Annotated[str, "time zone of that hour, by its IANA name"] = "UTC"
    smtp_host: Annotated[str, "mail server"] = "127.0.0.1"
    smtp_port: Annotated[int, "its port"] = 25
    smtp_security: Annotated[str, "none, starttls or tls"] = "none"
    smtp_user: Annotated[str, "user there; empty: no login"] = ""
    smtp_password_file: Annotated[
        Path | None, "file with the password; else smtp_password among systemd's credentials"
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The advisor's whole configuration, checked."""

    data: Data = field(default_factory=Data)
    web: Web = field(default_factory=Web)
    otlp: Otlp = field(default_factory=Otlp)
    tokens: TokenFiles = field(default_factory=TokenFiles)
    assess: Assess = field(default_factory=Assess)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        for name, port in (("web.port", self.web.port), ("otlp.port", self.otlp.port)):
            _require(0 <= port < 65536, f"{name} = {port} is no port; use 1 to 65535")
        minutes = self.assess.every_minutes
        _require(
            minutes > 0 and 60 % minutes == 0,
            f"assess.every_minutes = {minutes} does not divide an hour; use 5",
        )
        _require(self.assess.days > 0, f"assess.days = {self.assess.days} is no time; use 7")
        _require_report(self.report)


def _require_report(report: Report) -> None:
    _require(
        report.weekday in WEEKDAYS,
        f"report.weekday = {report.weekday!r} is no day; use one of {', '.join(WEEKDAYS)}",
    )
    _require(0 <= report.hour < 24, f"report.hour = {report.hour} is no hour; use 0 to 23")
    _require(
        report.smtp_security in {"none", "starttls", "tls"},
        f"report.smtp_security = {report.smtp_security!r}; use none, starttls or tls",
    )
    try:
        ZoneInfo(report.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"report.zone = {report.zone!r} is no time zone; use a name like Europe/Berlin"
        ) from error


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - an assertion with words
    if not condition:
        raise SettingsError(f"reading the settings: {message}")
