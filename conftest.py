"""Ends a run with the list of what was skipped and why; in CI only named kinds of skip may happen.

A skip's reason begins with what the machine lacks: `gpu:`, `data:`, `browser:`, `compiler:`.
JOULEWISE_ALLOWED_SKIPS names the kinds that do not fail the run (default: all).
"""

from __future__ import annotations

import os
from collections import Counter

import pytest


def _kind(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str]:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    return reason.split(":", 1)[0], reason


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each reason once with the number of tests behind it."""
    skipped = [_kind(report) for report in terminalreporter.stats.get("skipped", [])]
    if not skipped:
        terminalreporter.write_line("Nothing was skipped.")
        return
    terminalreporter.section("skipped: what this machine lacks")
    for (_, reason), count in sorted(Counter(skipped).items()):
        terminalreporter.write_line(f"{count:4d}  {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run on a skip that is not allowed where it runs."""
    allowed = os.environ.get("JOULEWISE_ALLOWED_SKIPS")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if allowed is None or reporter is None or exitstatus != 0:
        return
    kinds = {_kind(report)[0] for report in reporter.stats.get("skipped", [])}
    if refused := kinds - set(allowed.split(",")):
        reporter.write_line(f"Skips that may not happen here: {', '.join(sorted(refused))}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
