"""Whether an advisor could serve with these settings, or already does; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from advisor.errors import AdvisorError, ListenError
from advisor.serve import listen, require_closed, tokens_of
from advisor.settings import Settings
from advisor.store.folder import MARKER


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    is_ok: bool
    text: str


def findings(settings: Settings) -> Iterator[Finding]:
    """Each check's outcome, in the order a start would meet them."""
    yield _checked("tokens", lambda: _tokens(settings))
    yield _checked("data folder", lambda: _folder(settings.data.directory))
    yield _checked("state", lambda: _state(settings))
    for name, part in (("web", settings.web), ("otlp", settings.otlp)):
        yield _checked(name, lambda name=name, part=part: _port(part.host, part.port, name))  # type: ignore[misc]  # bound per turn
    yield _checked("mail", lambda: _mail(settings))
    yield _checked("deployments", lambda: _deployments(settings))


def _checked(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(is_ok=True, text=f"{name}: {check()}")
    except AdvisorError as error:
        return Finding(is_ok=False, text=f"{name}: {error}")


def _tokens(settings: Settings) -> str:
    tokens = tokens_of(settings)
    require_closed(settings, tokens)
    return "listeners are on loopback or have a token"


def _folder(path: Path) -> str:
    if not path.exists():
        return f"{path} will be made"
    if not (path / MARKER).exists() and any(path.iterdir()):
        raise AdvisorError(f"{path} holds something else; give another with --data DIR")
    return f"{path} is ours" if (path / MARKER).exists() else f"{path} is empty"


def _state(settings: Settings) -> str:
    if not settings.data.state_url:
        return "SQLite in the data folder"
    from advisor.store.state import connect

    engine = connect(settings.data.state_url)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()
    return f"{engine.dialect.name} answers"


def _port(host: str, port: int, name: str) -> str:
    try:
        listen(host, port, f"{name}.port").close()
    except ListenError:
        if _is_ready(host, port):
            return f"an advisor serves on {host}:{port} and is ready"
        raise
    return f"{host}:{port} is free"


def _is_ready(host: str, port: int) -> bool:
    import httpx

    try:
        return httpx.get(f"http://{host}:{port}/readyz", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _mail(settings: Settings) -> str:
    from advisor.report.deliver import transport

    report = settings.report
    if not report.recipients:
        return "no recipients, none is sent"
    to = transport(report)
    return f"to {', '.join(report.recipients)} over {to.host}:{to.port}, security {to.security}"


def _deployments(settings: Settings) -> str:
    from advisor.deployments import read_deployments

    path = settings.assess.deployments_file
    if path is None:
        return "none declared in the settings; instances group by model and role"
    return json.dumps([one.name for one in read_deployments(path)])
