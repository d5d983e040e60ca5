"""The built wheel works in a clean environment, away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: str | Path = "/") -> str:
    ran = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT, cwd=ROOT)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("clean") / "venv"
    _run(sys.executable, "-m", "venv", venv)
    _run(venv / "bin" / "pip", "install", "--quiet", f"{wheel}[advisor]")
    return venv / "bin"


def test_wheel_holds_rules_templates_units_and_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "advisor/_data/rules/",
        "advisor/_data/templates/pages/",
        "advisor/_data/templates/mail/weekly.html",
        "agent/_data/systemd/joulewise-agent.service",
        "advisor/_data/systemd/joulewise-advisor.service",
        "agent/py.typed",
        "advisor/py.typed",
        "advisor/pages/static/",
    ):
        assert any(name.startswith(part) for name in names), part
    assert not [name for name in names if name.startswith("tests/")]


def test_agent_reads_and_checks_from_the_root_folder(clean: Path) -> None:
    page = next((ROOT / "tests" / "pages").glob("dcgm*.prom"))
    assert '"hw.power"' in _run(
        clean / "joulewise-agent", "read", "--source", "dcgm", page, "--json"
    )
    assert _run(clean / "joulewise-agent", "check")


def test_advisor_finds_its_rules_and_templates_from_the_root_folder(clean: Path) -> None:
    assert "precision" in _run(clean / "joulewise", "rules")
    assert f"ExecStart={clean / 'joulewise'} serve" in _run(clean / "joulewise", "unit")
    _run(clean / "joulewise", "doctor", "--help")
    _run(clean / "joulewise-demo", "--help")


def test_plain_install_is_the_agent_alone(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", venv)
    _run(venv / "bin" / "pip", "install", "--quiet", wheel)
    installed = _run(venv / "bin" / "pip", "list", "--format=freeze").lower()
    for package in ("duckdb", "fastapi", "numpy", "scikit-learn"):
        assert package not in installed
    _run(venv / "bin" / "joulewise-agent", "--version")
