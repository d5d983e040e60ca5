"""The reference of rules and their short names, written from the rules themselves."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.advise.compose import WORDS
from advisor.advise.facts import FACTS
from advisor.advise.rules import Record, Rule, load_rules

_README = """# Rules

One YAML file a rule; the file's name is its id. A rule says *when* to consider *what*; the
performance model says how much, and drops what does not fit memory, leaves the latency limit or
gains too little.

- `needs` lists the short names that must be known; if one is not, the answer is "not enough data".
- `when` is a condition in CEL over those names; every value is a float: write `0.2` and `1.0`.
- `propose` names one change: `max_sequences: larger`, `weights: fp8 | nvfp4`, `kv: fp8`,
  `tensor_parallel: smaller` or `release: instance`. The exact flag comes from the engine's table.
- `after` names rules that go first where both speak of the same instances.
- `records` are published pairs of measurements that differ in nothing but the change; they are
  pooled with the model's prediction. `load` says whether both had the same requests in flight
  (`same`) or each its own saturating load (`saturated`).
- `title`, `why` and `quality_gate` may name facts and {words}.
- `examples` are facts under which the rule fires, does not, and cannot say; a test runs them.

Nothing else is needed to add a rule: put a file here and run `make test`.

## Short names

"""

_DOCS = """# Advice rules

Written from `rules/*.yaml` by `advisor.advise.reference`; a test keeps it current.

"""


def readme() -> str:
    """rules/README.md: how a rule is written, and the short names it may use."""
    rows = [f"| `{f.name}` | {f.unit} | {f.brief} |" for f in FACTS.values()]
    table = "\n".join(("| name | unit | what it says of an instance |", "|---|---|---|", *rows))
    words = ", ".join(f"{{{word}}}" for word in sorted(WORDS))
    return _README.replace("{words}", words) + table + "\n"


def document(rules: Sequence[Rule] | None = None) -> str:
    """docs/rules.md: every rule with its condition, proposal, evidence and sources."""
    return _DOCS + "\n".join(_rule(rule) for rule in rules or load_rules())


def _rule(rule: Rule) -> str:
    change = ", ".join(f"{k}: {v}" for k, v in rule.propose.model_dump(exclude_none=True).items())
    needs = ", ".join(f"`{name}`" for name in rule.needs)
    restart = "restart" if rule.restart else "no restart"
    lines = (
        f"## {rule.id}",
        f"{rule.title}.",
        f"Version {rule.version}, {rule.maturity}; {rule.lever}, effort {rule.effort}, {restart}.",
        f"Fires when `{' '.join(rule.when.split())}`.",
        f"Needs {rule.minimum_hours:g} hours of the live configuration, and {needs}.",
        f"Proposes {change}.",
        f"Goes behind {', '.join(rule.after)} on the same instances." if rule.after else "",
        f"Quality gate: `{' '.join(rule.quality_gate.split())}`" if rule.quality_gate else "",
        *(_record(record) for record in rule.records),
        f"Sources: {'; '.join(rule.sources)}.",
    )
    return "\n\n".join(line for line in lines if line) + "\n"


def _record(record: Record) -> str:
    ratio = record.ratio
    times = f"times {ratio.expected:g} ({ratio.low:g} to {ratio.high:g})"
    count = f"{record.pairs} pairs, {record.architectures} architectures"
    return f"Measured pairs where `{record.when}`: tokens/s {times}, {count}; {record.source}."
