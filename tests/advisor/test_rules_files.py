"""Every rule file: its examples, its names, its words, and what a bad one is told."""

from __future__ import annotations

from pathlib import Path
from string import Formatter

import pytest
import yaml

from advisor.advise.compose import WORDS
from advisor.advise.facts import FACTS
from advisor.advise.reference import document, readme
from advisor.advise.rules import RuleError, holds, load_rules, read_rule, rules_folder

RULES = load_rules()
WRITE = "write it anew from advisor.advise.reference: readme() and document()"
IDS = [rule.id for rule in RULES]


def test_every_lever_has_a_rule():
    assert {r.lever for r in RULES} == {"precision", "batch", "parallelism", "consolidation"}


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_rule_fires_on_its_first_example_and_not_on_its_second(rule):
    for facts in (rule.examples.fires, rule.examples.does_not):
        assert set(rule.needs) <= set(facts)
    assert holds(rule.when, rule.examples.fires)
    assert not holds(rule.when, rule.examples.does_not)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_rule_cannot_say_with_its_third_example(rule):
    assert set(rule.needs) - set(rule.examples.not_enough_data)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_examples_use_known_names_only(rule):
    for facts in rule.examples.model_dump().values():
        assert set(facts) <= set(FACTS)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_texts_name_only_words_there_are(rule):
    texts = [rule.title, rule.why, rule.quality_gate or ""]
    named = {field for text in texts for _, field, _, _ in Formatter().parse(text) if field}
    assert named <= set(rule.needs) | WORDS | {"hours", "idle", "tpot_limit", "load_factor", "gpus"}


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_rule_file_stays_short(rule):
    lines = (rules_folder() / f"{rule.id}.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


def test_rules_come_after_rules_that_exist():
    for rule in RULES:
        assert set(rule.after) <= set(IDS)


def test_the_readme_lists_every_short_name():
    readme = (rules_folder() / "README.md").read_text(encoding="utf-8")
    for fact in FACTS.values():
        assert f"| `{fact.name}` | {fact.unit} | {fact.brief} |" in readme


RECORD = {
    "when": "experts < 1.0",
    "load": "same",
    "ratio": {"low": 1.1, "expected": 1.2, "high": 1.3},
    "pairs": 3,
    "architectures": 1,
    "source": "nowhere",
}


def bad(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load((rules_folder() / "batch.raise_limit.yaml").read_text("utf-8"))
    path = tmp_path / "batch.raise_limit.yaml"
    path.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"when": "saturated_sequences >="}, "Failed to parse"),
        ({"when": "wating > 1.0"}, "unknown names"),
        ({"when": "load_factor > 1.0"}, "does not list"),
        ({"needs": ["wating"]}, "no fact has"),
        ({"propose": {"weights": "fp8", "kv": "fp8"}}, "exactly one"),
        ({"lever": "precision"}, "quality_gate"),
        ({"lever": "magic"}, "lever"),
        ({"colour": "red"}, "Extra inputs"),
        ({"records": [RECORD]}, "does not list"),
        ({"id": "batch.other"}, "batch.other.yaml"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_its_cause(tmp_path, changes, said):
    with pytest.raises(RuleError, match=said) as caught:
        read_rule(bad(tmp_path, **changes))
    assert "batch.raise_limit.yaml" in str(caught.value)


def test_text_that_is_not_yaml_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(RuleError, match=r"x\.yaml"):
        read_rule(path)


def test_a_folder_without_rules_is_said(tmp_path):
    with pytest.raises(RuleError, match="no rules in"):
        load_rules(tmp_path)


def test_the_references_are_what_the_rules_say():
    root = rules_folder().parent
    assert (rules_folder() / "README.md").read_text(encoding="utf-8") == readme(), WRITE
    assert (root / "docs" / "rules.md").read_text(encoding="utf-8") == document(), WRITE
