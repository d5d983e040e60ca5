"""An advisor opened from its data folder for one report, without listeners."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from advisor.api.contract import Backing, ReportAddress
from advisor.config import load
from advisor.errors import AdvisorError
from advisor.serve import opened
from advisor.service import WebState, assess_fleet
from advisor.tokens import Tokens


@contextmanager
def opened_backing(data: Path, now: datetime) -> Iterator[Backing]:
    """What the report needs, from a data folder that no advisor holds; assessed as of `now`.

    Raises:
        AdvisorError: the folder is not ours, is in use, or holds nothing.
    """
    if not data.is_dir():
        raise AdvisorError(f"opening the data folder {data}: it does not exist; check --data")
    settings = load(None, os.environ, {("data", "directory"): data}).settings
    with opened(settings, Tokens()) as running:
        if running.advisor.refresh(now) is None:
            raise AdvisorError(f"assessing what is in {data}: no agent ever reported to it")
        web = settings.web
        address = ReportAddress(
            base_url=web.base_url or f"http://{web.host}:{web.port}",
            sender=settings.report.sender,
            recipients=settings.report.recipients,
        )
        state = WebState(running.advisor.engine)
        yield Backing(running.advisor, state, report=address, assessing=assess_fleet)
