"""Both listeners of the advisor in one process, pages and REST, and OTLP: start, stop, drain."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn
from starlette.types import ASGIApp

from advisor import schedule
from advisor.api.contract import Access, Backing, ReportAddress
from advisor.errors import ListenError
from advisor.notify import notify
from advisor.receive.app import create_receiver
from advisor.receive.commit import CommitQueue
from advisor.service import Advisor, WebState
from advisor.settings import Settings
from advisor.store.folder import open_folder
from advisor.store.state import open_state
from advisor.store.windows_duckdb import DuckDbWindows
from advisor.tokens import Scope, Tokens, token_from_file

log = logging.getLogger("joulewise.advisor")

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
WATCHDOG_S = 20.0


@dataclass(frozen=True)
class Running:
    """An advisor with its parts open: what the listeners serve."""

    advisor: Advisor
    commits: CommitQueue
    tokens: Tokens


def tokens_of(settings: Settings) -> Tokens:
    """The tokens that the settings' files hold.

    Raises:
        SettingsError: a file cannot be read or holds none.
    """
    files = {scope: getattr(settings.tokens, f"{scope}_file") for scope in Scope}
    return Tokens(
        token_from_file(scope.value, path, [scope]) for scope, path in files.items() if path
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_closed(settings: Settings, tokens: Tokens) -> None:
    """Refuse to listen beyond this machine without a token.

    Raises:
        ListenError: an open address has no token before it.
    """
    for section, host, scope in (
        ("web", settings.web.host, Scope.READ),
        ("otlp", settings.otlp.host, Scope.INGEST),
    ):
        if not is_loopback(host) and not tokens.grants(scope):
            raise ListenError(
                f"{section}.host = {host} is reachable from other machines and no {scope} token is "
                f"set. Make one: joulewise token > {scope}.token, and set tokens.{scope}_file, or "
                f"listen on 127.0.0.1."
            )


@contextmanager
def opened(settings: Settings, tokens: Tokens) -> Iterator[Running]:
    """An advisor's parts, opened in order; closed in turn, after what was received is stored."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder(settings.data.directory))
        store = DuckDbWindows(
            folder.telemetry,
            memory_limit=settings.data.memory_limit,
            threads=settings.data.threads,
        )
        stack.callback(store.close)
        engine = open_state(settings.data.state_url or folder.state_url)
        stack.callback(engine.dispose)
        advisor = Advisor(settings, store, engine)
        stack.callback(advisor.close)
        commits = CommitQueue(
            store, length=settings.otlp.queue_requests, group=settings.otlp.group_requests
        )
        stack.callback(commits.close)
        yield Running(advisor, commits, tokens)


def backing(running: Running, port: int) -> Backing:
    """What pages, REST and report may touch of a running advisor."""
    settings, tokens = running.advisor.settings, running.tokens
    web = settings.web
    guarded = any(tokens.grants(scope) for scope in (Scope.READ, Scope.WRITE, Scope.ADMIN))
    access = Access(
        scopes_of=tokens.scopes if guarded else None,
        hosts=(*LOOPBACK_NAMES, web.host.lower(), *web.allowed_hosts),
        secure_cookies=web.secure_cookies,
    )
    report = ReportAddress(
        base_url=web.base_url or f"http://{web.host}:{port}",
        sender=settings.report.sender,
        recipients=settings.report.recipients,
    )
    advisor = running.advisor
    return Backing(advisor, WebState(advisor.engine), access, report, advisor.assessing)


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A bound socket.

    Raises:
        ListenError: the port is in use, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(512)
    except OSError as error:
        found.close()
        raise ListenError(
            f"listening on {host}:{port}: {error.strerror}. "
            f"Stop what listens there, or set another {setting} (0 picks a free port)."
        ) from error
    return found


class _Server(uvicorn.Server):
    """A listener that leaves signals to its advisor."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then store what was received and stop.

    Raises:
        AdvisorError: something is in the way; the message says what to do.
    """
    tokens = tokens_of(settings)
    require_closed(settings, tokens)
    with ExitStack() as stack:
        web = stack.enter_context(listen(settings.web.host, settings.web.port, "web.port"))
        otlp = stack.enter_context(listen(settings.otlp.host, settings.otlp.port, "otlp.port"))
        running = stack.enter_context(opened(settings, tokens))
        asyncio.run(_serve(running, web, otlp))
        notify("STOPPING=1")


async def _serve(running: Running, web: socket.socket, otlp: socket.socket) -> None:
    from advisor.api.app import create_app

    settings = running.advisor.settings
    web_port, otlp_port = web.getsockname()[1], otlp.getsockname()[1]
    receiver = create_receiver(
        running.commits, running.tokens, max_body_bytes=settings.otlp.max_body_bytes
    )
    behind = backing(running, web_port)
    servers = (_server(create_app(behind)), _server(receiver))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    clock = schedule.start(
        _jobs(running.advisor, behind), running.advisor.engine, lambda: datetime.now(UTC)
    )
    watchdog = asyncio.create_task(_watch(running.commits))
    log.info(
        "serving web=http://%s:%d otlp=http://%s:%d data=%s",
        settings.web.host,
        web_port,
        settings.otlp.host,
        otlp_port,
        settings.data.directory,
    )
    notify("READY=1")
    try:
        await asyncio.gather(
            *(server.serve([sock]) for server, sock in zip(servers, (web, otlp), strict=True))
        )
    finally:
        watchdog.cancel()
        clock.shutdown(wait=False)


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )


def _stop(servers: tuple[_Server, ...]) -> None:
    for server in servers:
        server.should_exit = True


async def _watch(commits: CommitQueue) -> None:
    """Tell systemd that the loop turns and the writer lives."""
    while True:
        if commits.is_open:
            notify("WATCHDOG=1")
        await asyncio.sleep(WATCHDOG_S)


def _jobs(advisor: Advisor, behind: Backing) -> list[schedule.Job]:
    """Assessments always; the report and its mails where it has recipients."""
    settings, engine = advisor.settings, advisor.engine
    jobs = [schedule.assessment_job(settings, advisor.refresh)]
    if settings.report.recipients:
        from advisor.report.deliver import send_due, transport
        from advisor.report.weekly_job import send_weekly

        to = transport(settings.report)
        jobs += [
            schedule.report_job(
                settings, lambda now: send_weekly(behind, engine, settings.report, now)
            ),
            schedule.mail_job(lambda now: send_due(engine, to, lambda: now)),
        ]
    return jobs
