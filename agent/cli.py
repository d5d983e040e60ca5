"""The command `joulewise-agent`: data on standard output, messages on standard error.

It ends with 0, with 1 when something could not be done, with 2 when it was asked for wrongly.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.errors import AgentError, PageError, SettingsError

if TYPE_CHECKING:
    from agent.config import Loaded

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Reads GPUs and LLM engines of this node and ships windows of them to an advisor.",
)
config_app = typer.Typer(no_args_is_help=True, help="The configuration.")
app.add_typer(config_app, name="config")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="configuration file; else /etc/joulewise/agent.toml if there"),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="a setting, over file and environment"),
]


@app.callback(invoke_without_command=True)
def _version(
    *,
    version: Annotated[bool, typer.Option("--version", help="say the version and end")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"joulewise-agent {installed('joulewise')}")
        raise typer.Exit


@app.command()
def run(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Read, close a window every minute and ship, until stopped."""
    loaded = _loaded(config, set_)

    from agent.assembly import run as run_agent

    run_agent(loaded.settings)


@app.command()
def once(
    config: ConfigOption = None,
    set_: SetOption = None,
    seconds: Annotated[float, typer.Option(help="how long the window lasts", min=0)] = 5.0,
) -> None:
    """Close one short window, ship it and say what was in it; fails if it was not delivered."""
    loaded = _loaded(config, set_)

    from agent.assembly import once as run_once

    typer.echo(run_once(loaded.settings, seconds))


@app.command()
def read(
    target: Annotated[str | None, typer.Argument(help="file, URL, or - for the input")] = None,
    source: Annotated[str, typer.Option(help="dcgm, nvml, an engine, or auto")] = "auto",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="print a JSON list")] = False,
) -> None:
    """Show what one page, or NVML, says at this moment."""
    import json

    from agent.read import read as read_source
    from agent.read import to_json, to_table

    result = read_source(source, target)
    if as_json:
        typer.echo(json.dumps(to_json(result.readings), indent=1, ensure_ascii=False))
    else:
        typer.echo(to_table(result.readings))
    if result.skipped:
        message = f"{result.skipped} samples of the page are no numbers or not understood"
        typer.echo(f"joulewise-agent: {message}; they are left out", err=True)


@app.command()
def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Say what this node has, what is missing and how to enable it."""
    loaded = _loaded(config, set_)

    from agent.check import check as check_node

    typer.echo(check_node(loaded.settings))


@app.command()
def install(
    advisor: Annotated[str, typer.Option(help="address of the advisor's OTLP receiver")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
) -> None:
    """Put the systemd unit and a configuration in place and start the agent."""
    import subprocess

    from agent.install import UNIT, steps
    from agent.locate import packaged

    unit = packaged(f"systemd/{UNIT}").read_text(encoding="utf-8")
    for step in steps(unit, advisor):
        typer.echo(step.text)
        if dry_run:
            continue
        try:
            step.apply()
        except (OSError, subprocess.CalledProcessError) as error:
            raise AgentError(
                f"installing the agent, {step.text}: {error}; run it as root"
            ) from error


@config_app.command("check")
def config_check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Print every setting with its value and where that came from; secrets are not shown."""
    lines = list(_loaded(config, set_).lines())
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    for key, value, origin in lines:
        typer.echo(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}")


def main() -> None:
    """Run the command; what is expected to go wrong ends in one line."""
    try:
        app()
    except AgentError as error:
        typer.echo(f"joulewise-agent: {error}", err=True)
        sys.exit(2 if isinstance(error, (SettingsError, PageError)) else 1)


def _loaded(config: Path | None, flags: list[str] | None) -> Loaded:
    from agent.config import load

    return load(config, os.environ, flags or ())
