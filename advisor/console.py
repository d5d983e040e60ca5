"""How a command of the advisor refuses: one line and an exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from advisor.errors import AdvisorError, SettingsError


@contextmanager
def said() -> Iterator[None]:
    """A refusal as one line on standard error and exit status 2 for settings, 1 for the rest."""
    try:
        yield
    except AdvisorError as error:
        typer.echo(f"joulewise: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from error
