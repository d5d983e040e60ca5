"""The commands that need no running advisor, and the unit that starts one."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from advisor.advise.rules import load_rules
from advisor.cli import app
from advisor.config import CREDENTIALS
from advisor.errors import AdvisorError
from advisor.serve import WATCHDOG_S
from advisor.settings import Data
from advisor.unit import unit_text


def said(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.output


def unit() -> dict[str, list[str]]:
    values: defaultdict[str, list[str]] = defaultdict(list)
    for line in unit_text(Path("/srv/joulewise/bin/joulewise")).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[key].append(value)
        else:
            assert not line or line[0] in "#[", line
    return values


def test_every_rule_is_listed_with_its_condition() -> None:
    text = said("rules")
    for rule in load_rules():
        assert rule.id in text
        assert " ".join(rule.when.split()) in text
    assert {one["id"] for one in json.loads(said("rules", "-o", "json"))} == {
        rule.id for rule in load_rules()
    }


def test_the_unit_starts_the_program_that_prints_it() -> None:
    assert unit()["ExecStart"] == ["/srv/joulewise/bin/joulewise serve"]
    assert said("unit").startswith("[Unit]")


def test_a_program_that_systemd_cannot_start_gets_no_unit() -> None:
    with pytest.raises(AdvisorError, match="without blanks"):
        unit_text(Path("/home/a user/bin/joulewise"))


def test_the_unit_waits_for_three_missed_signs_of_life() -> None:
    assert unit()["Type"] == ["notify"]
    assert float(unit()["WatchdogSec"][0]) == 3 * WATCHDOG_S


def test_the_unit_hands_over_every_secret_that_is_a_setting() -> None:
    handed = {value.partition(":")[0] for value in unit()["LoadCredential"]}
    absent = {value.partition(":")[0] for value in unit()["SetCredential"]}
    assert handed == absent == set(CREDENTIALS.values())


def test_the_units_folder_is_the_default_one() -> None:
    assert Data().directory == Path("/var/lib") / unit()["StateDirectory"][0]


def test_a_token_is_new_each_time() -> None:
    assert said("token") != said("token")


def test_an_advisor_that_does_not_answer_is_said_with_the_next_step() -> None:
    text = said("nodes", "--url", "http://127.0.0.1:9", status=1)
    assert "joulewise serve" in text


def test_doctor_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    empty = tmp_path / "empty.toml"
    empty.touch()
    text = said("doctor", "--data", str(tmp_path), "--config", str(empty), status=1)
    assert f"FAIL data folder: {tmp_path} holds something else" in text
