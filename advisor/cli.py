"""The command `joulewise`: serve, and look at what an advisor says."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from advisor.console import said
from advisor.errors import AdvisorError, SettingsError

app = typer.Typer(
    help="What each LLM token costs in joules and dollars, why, and what to change next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

CONFIG = typer.Option("--config", help="settings file instead of /etc/joulewise/joulewise.toml")
URL = typer.Option("--url", help="address of the advisor")
TOKEN_FILE = typer.Option("--token-file", help="file with a read token")


class Output(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"


@app.command()
def serve(
    *,
    data: Annotated[Path | None, typer.Option(help="folder of telemetry and state")] = None,
    host: Annotated[str | None, typer.Option(help="address of pages and REST")] = None,
    port: Annotated[int | None, typer.Option(help="port of pages and REST; 0: a free one")] = None,
    otlp_host: Annotated[str | None, typer.Option(help="address agents send to")] = None,
    otlp_port: Annotated[
        int | None, typer.Option(help="port agents send to; 0: a free one")
    ] = None,
    deployments: Annotated[Path | None, typer.Option(help="deployments.toml")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Receive from agents, assess the fleet, show pages and REST; until stopped."""
    from advisor.config import load
    from advisor.serve import serve as run

    _log_to_standard_error()
    flags = {
        ("data", "directory"): data,
        ("web", "host"): host,
        ("web", "port"): port,
        ("otlp", "host"): otlp_host,
        ("otlp", "port"): otlp_port,
        ("assess", "deployments_file"): deployments,
    }
    with said():
        run(load(config, os.environ, flags).settings)


def _log_to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("joulewise")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


@app.command()
def nodes(
    *,
    url: Annotated[str, URL] = "http://127.0.0.1:8080",
    token_file: Annotated[Path | None, TOKEN_FILE] = None,
    output: Annotated[Output, typer.Option("-o", "--output")] = Output.TABLE,
) -> None:
    """The nodes of the fleet with their scores."""
    columns: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
        "node": lambda n: n["name"],
        "score": lambda n: _score(n["score"]),
        "GPUs": lambda n: len(n["gpu_ids"]),
        "instances": lambda n: len(n["instance_ids"]),
        "diagnosis": lambda n: (n["diagnosis"] or {}).get("word", ""),
        "last seen": lambda n: n["last_seen"] or "never",
    }
    _show("nodes", columns, url, token_file, output)


@app.command()
def recommendations(
    *,
    url: Annotated[str, URL] = "http://127.0.0.1:8080",
    token_file: Annotated[Path | None, TOKEN_FILE] = None,
    output: Annotated[Output, typer.Option("-o", "--output")] = Output.TABLE,
) -> None:
    """What to change next, most dollars a month first."""
    columns: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
        "id": lambda r: r["id"],
        "advice": lambda r: r["title"],
        "target": lambda r: r["target_id"],
        "lever": lambda r: r["lever"],
        "state": lambda r: r["state"],
        "$ a month": lambda r: _dollars(r["cost_usd_per_month"]),
    }
    _show("recommendations", columns, url, token_file, output)


def _score(score: Mapping[str, float] | None) -> str:
    return "no data" if score is None else f"{score['low']:.0f} to {score['high']:.0f}"


def _dollars(cost: Mapping[str, Any] | None) -> str:
    return "not stated" if cost is None else f"{cost['expected']:,.0f} ({cost['evidence']})"


def _show(
    name: str,
    columns: Mapping[str, Callable[[Mapping[str, Any]], object]],
    url: str,
    token_file: Path | None,
    output: Output,
) -> None:
    with said():
        items = _listed(f"{url.rstrip('/')}/api/v1/{name}", token_file)
    if output is Output.JSON:
        typer.echo(json.dumps(items, indent=2))
        return
    table = Table(*columns)
    for item in items:
        table.add_row(*(str(read(item)) for read in columns.values()))
    Console().print(table)


def _listed(url: str, token_file: Path | None) -> Sequence[Mapping[str, Any]]:
    """All pages of a list.

    Raises:
        AdvisorError: the advisor does not answer, or refuses.
    """
    import httpx

    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file else {}
    items: list[Mapping[str, Any]] = []
    cursor: str | None = None
    try:
        with httpx.Client(headers=headers, timeout=30) as client:
            while True:
                answer = client.get(url, params={"cursor": cursor} if cursor else {})
                if answer.is_error:
                    raise AdvisorError(f"asking {url}: {answer.status_code} {_detail(answer)}")
                page = answer.json()
                items += page["items"]
                cursor = page["next_cursor"]
                if cursor is None:
                    return items
    except httpx.HTTPError as error:
        raise AdvisorError(
            f"asking {url}: {error}. Start an advisor with joulewise serve, or give its --url."
        ) from error


def _detail(answer: Any) -> str:
    try:
        return str(answer.json().get("detail", ""))
    except ValueError:
        return "not an advisor's answer; check --url"


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"reading the token file {path}: {error.strerror}") from error


@app.command()
def token() -> None:
    """Print a new bearer token, to be put into a file."""
    from advisor.tokens import new_secret

    typer.echo(new_secret())


@app.command()
def config(file: Annotated[Path | None, CONFIG] = None) -> None:
    """Print every setting, its value and where it comes from; secrets are not shown."""
    from advisor.config import load

    with said():
        for key, value, origin in load(file, os.environ).lines():
            typer.echo(f"{key} = {value}  # {origin}")


@app.command()
def rules(
    output: Annotated[Output, typer.Option("-o", "--output")] = Output.TABLE,
) -> None:
    """What is advised when: each rule's lever, what it needs to know and its condition."""
    from advisor.advise.rules import load_rules

    found = load_rules()
    if output is Output.JSON:
        typer.echo(json.dumps([rule.model_dump(mode="json") for rule in found], indent=2))
        return
    for rule in found:
        typer.echo(f"{rule.id}  {rule.lever}, {rule.maturity}: {rule.title}")
        typer.echo(f"  needs  {', '.join(rule.needs)}; {rule.minimum_hours:g} hours observed")
        typer.echo(f"  when   {' '.join(rule.when.split())}")


@app.command()
def unit() -> None:
    """Print the systemd unit that starts this program."""
    from advisor.unit import unit_text

    with said():
        typer.echo(unit_text(Path(sys.argv[0]).resolve()), nl=False)


@app.command()
def doctor(
    *,
    data: Annotated[Path | None, typer.Option(help="folder of telemetry and state")] = None,
    file: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Say what is in order, what is not and what to do; exit 1 if something is not."""
    from advisor.config import load
    from advisor.doctor import findings

    with said():
        settings = load(file, os.environ, {("data", "directory"): data}).settings
        found = list(findings(settings))
    for one in found:
        typer.echo(f"{'ok  ' if one.is_ok else 'FAIL'} {one.text}")
    if not all(one.is_ok for one in found):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    if find_spec("advisor.report.cli"):
        app.add_typer(import_module("advisor.report.cli").app, name="report")
    app()
