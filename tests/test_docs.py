"""The README's commands run, its links lead somewhere, and the documents name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "rules/README.md"])


@pytest.mark.slow
def test_every_command_of_the_readme_runs() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "bench" / "readme.py", "--collect"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    assert "from clone to the first recommendation" in ran.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_local_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
    assert not [link for link in links if not (document.parent / link).exists()]


def test_every_decision_says_what_was_measured_or_why_not() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert pages
    for page in pages:
        text = page.read_text()
        for part in ("## Problem", "## Choice", "## Rejected"):
            assert part in text, f"{page.name} lacks {part}"
