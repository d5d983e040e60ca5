"""The advisor itself: settings, telemetry, state and the latest assessment, for all who show it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from advisor.api.contract import Life, ScoreMoment
from advisor.assessment import Assessment
from advisor.deployments import Declared, deployments, read_deployments
from advisor.errors import StoreError
from advisor.settings import Settings
from advisor.store import state
from advisor.store.windows import WindowStore
from advisor.summary import Fleet

log = logging.getLogger("joulewise.advisor")

DEPLOYMENTS = "deployments.toml"
SYSTEM_FOLDER = Path("/etc/joulewise")

Assessing = Callable[[Fleet, datetime], Assessment]


def assess_fleet(fleet: Fleet, now: datetime) -> Assessment:
    """What a worker process runs: the pure assessment with its shipped settings."""
    from advisor.assess import AssessSettings, assess

    return assess(fleet, AssessSettings(), now=now)


class Worker:
    """One process for heavy, pure work, so that receiving and pages never wait for it."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, fleet: Fleet, now: datetime) -> Assessment:
        """Assess in the worker; one that died is replaced once."""
        try:
            return self._running().submit(assess_fleet, fleet, now).result()
        except BrokenProcessPool:
            self.close()
            return self._running().submit(assess_fleet, fleet, now).result()

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                mp_context=get_context("spawn"),
                initializer=_become_worker,
                initargs=(os.getpid(),),
            )
        return self._pool

    def close(self) -> None:
        """Stop the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _become_worker(parent: int) -> None:
    """Leave Ctrl-C to the advisor, and end when it is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)


class Advisor:
    """What pages, REST, report and schedule share. Methods may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        store: WindowStore,
        engine: Engine,
        *,
        assessing: Assessing | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.engine = engine
        self._worker = Worker()
        self.assessing: Assessing = assessing or self._worker
        self._refreshing = threading.Lock()
        self._assessment: Assessment | None = None

    @property
    def assessment(self) -> Assessment | None:
        """The latest assessment, or None before the first."""
        return self._assessment

    def fleet(self, now: datetime) -> Fleet:
        """What exists and what it did in the days before `now`, whole hours at the start."""
        start = now - timedelta(days=self.settings.assess.days)
        start = start.replace(minute=0, second=0, microsecond=0)
        nodes, instances = self.store.nodes(), self.store.instances()
        return Fleet(
            start=start,
            end=now,
            nodes=nodes,
            gpus=self.store.gpus(),
            instances=instances,
            deployments=deployments(self.declared(), instances, nodes),
            instance_hours=self.store.instance_hours(start, now),
            gpu_hours=self.store.gpu_hours(start, now),
        )

    def declared(self) -> tuple[Declared, ...]:
        """The declared deployments, read anew each time: a change needs no restart."""
        path = self.settings.assess.deployments_file
        if path is not None:
            return read_deployments(path)
        for folder in (self.settings.data.directory, SYSTEM_FOLDER):
            if (folder / DEPLOYMENTS).exists():
                return read_deployments(folder / DEPLOYMENTS)
        return ()

    def refresh(self, now: datetime) -> Assessment | None:
        """Assess the fleet anew and keep what was said; None while nothing has reported.

        Two callers at once share nothing: the second waits, then assesses again.
        """
        with self._refreshing:
            fleet = self.fleet(now)
            if not fleet.nodes:
                return self._assessment
            assessment = self.assessing(fleet, now)
            with Session(self.engine) as session:
                said = state.save_assessment(session, assessment)
            self._assessment = replace(assessment, recommendations=said)
            return self._assessment

    def close(self) -> None:
        """Stop the worker."""
        self._worker.close()


class WebState:
    """The state as REST and pages ask for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def lives(self) -> Mapping[str, Life]:
        """Every recommendation id with where it stands."""
        with Session(self._engine) as session:
            rows = state.lives(session)
            return {key: Life(row.state, row.reason, row.until) for key, row in rows.items()}

    def move(self, recommendation_id: str, before: Life, after: Life) -> bool:
        """Replace `before` by `after`; False where it no longer stands as `before`."""
        with Session(self._engine) as session:
            return state.move(
                session,
                recommendation_id,
                (before.state, before.reason, before.until),
                (after.state, after.reason, after.until),
            )

    def score_history(self, kind: str, target_id: str) -> Sequence[ScoreMoment]:
        """Scores of one target, oldest first."""
        with Session(self._engine) as session:
            rows = state.score_history(session, kind, target_id)
            return [
                ScoreMoment(r.made_at, r.kind, r.target_id, r.low, r.high, r.version) for r in rows
            ]

    def check(self) -> None:
        """Raise StoreError where the state cannot be read."""
        try:
            with self._engine.connect() as connection:
                connection.execute(text("select 1"))
        except SQLAlchemyError as error:
            raise StoreError(f"the state database does not answer: {error}") from error
