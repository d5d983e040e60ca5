"""`joulewise report`: write the weekly report to files, or send it now."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer

from advisor.console import said
from advisor.errors import AdvisorError, SettingsError

app = typer.Typer(help="Write or send the weekly report.", invoke_without_command=True)
FILES = ("weekly.html", "weekly.eml", "weekly.txt")
DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option("--url", help="a running advisor")]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="file with a read token")]
Config = Annotated[Path | None, typer.Option("--config", help="settings file")]


@app.callback()
def report(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="folder to write to")] = Path("out"),
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="data folder of an advisor that does not run")
    ] = None,
) -> None:
    """Write weekly.html, weekly.eml and weekly.txt into a folder."""
    if context.invoked_subcommand:
        return
    with said():
        contents = _from_data(data) if data else {n: _fetch(url, n, token_file) for n in FILES}
        _write(out, contents)
    for name in contents:
        typer.echo(out / name)


def _write(out: Path, contents: dict[str, bytes]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise SettingsError(
            f"writing the report into {out}: {error.strerror}; give another folder with --out"
        ) from error


def _fetch(url: str, name: str, token_file: Path | None, recipient: str | None = None) -> bytes:
    address = f"{url.rstrip('/')}/api/v1/reports/{name}"
    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file else {}
    try:
        answer = httpx.get(
            address,
            params={"recipient": recipient} if recipient else {},
            headers=headers,
            timeout=60,
        )
    except httpx.HTTPError as error:
        raise AdvisorError(
            f"asking {address}: {error}. Start one with joulewise serve, or give --url or --data."
        ) from error
    if answer.is_error:
        raise AdvisorError(f"asking {address}: {answer.status_code} {_detail(answer)}")
    return answer.content


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("detail", ""))
    except ValueError:
        return "not an advisor's answer; check --url"


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"reading the token file {path}: {error.strerror}") from error


def _from_data(data: Path) -> dict[str, bytes]:
    """The report made here from a data folder that no advisor holds."""
    from advisor.report.message import message
    from advisor.report.offline import opened_backing
    from advisor.report.rendering import standalone, text
    from advisor.report.weekly_job import report_now

    with opened_backing(data, datetime.now(UTC)) as backing:
        made = report_now(backing)
        recipient = next(iter(backing.report.recipients), "someone@example.invalid")
        mail = message(made, recipient, backing.report, date=datetime.now(UTC))
        contents = (standalone(made).encode(), mail.as_bytes(), text(made).encode())
        return dict(zip(FILES, contents, strict=True))


@app.command()
def send(url: Url = DEFAULT_URL, token_file: TokenFile = None, config: Config = None) -> None:
    """Send this week's report of a running advisor now, once to each recipient of the settings.

    Sending again sends nothing: a report goes to a recipient at most once.
    """
    from email import message_from_bytes
    from email.policy import default

    from sqlmodel import Session

    from advisor.config import load
    from advisor.report.deliver import send_due, transport
    from advisor.store import outbox
    from advisor.store.state import open_state

    with said():
        settings = load(config, os.environ).settings
        if not settings.report.recipients:
            raise SettingsError("sending the report: report.recipients names nobody")
        to = transport(settings.report)
        engine = open_state(
            settings.data.state_url or f"sqlite:///{settings.data.directory / 'state.sqlite'}"
        )
        for recipient in settings.report.recipients:
            content = _fetch(url, "weekly.eml", token_file, recipient)
            mail = message_from_bytes(content, policy=default)
            report_id = str(mail["Message-ID"]).strip("<>").partition(".")[0]
            with Session(engine) as session:
                outbox.enqueue(
                    session, report_id, recipient, str(mail["Subject"]), content,
                    now=datetime.now(UTC),
                )  # fmt: skip
        counts = send_due(engine, to, lambda: datetime.now(UTC))
        engine.dispose()
    typer.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if counts["later"] or counts["refused"] or counts["uncertain"]:
        raise typer.Exit(1)
