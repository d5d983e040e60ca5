"""Which instances serve one model for one purpose: as deployments.toml says, else by model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from advisor.config import read_toml, unknown
from advisor.errors import SettingsError
from advisor.score.objective import PROFILES
from advisor.summary import Deployment, Instance, Node


@dataclass(frozen=True, slots=True)
class Selector:
    """Shell patterns; all that are given must match. Labels are the node's."""

    model: str | None = None
    host: str | None = None
    instance: str | None = None
    labels: Mapping[str, str] | None = None

    def matches(self, instance: Instance, node: Node | None) -> bool:
        """Whether an instance on a node is meant."""
        hosts = [instance.host_id] + ([node.name] if node else [])
        labels = node.labels if node else {}
        return (
            (self.model is None or fnmatchcase(instance.model or "", self.model))
            and (self.host is None or any(fnmatchcase(host, self.host) for host in hosts))
            and (self.instance is None or fnmatchcase(instance.id, self.instance))
            and all(
                fnmatchcase(labels.get(name, ""), pattern)
                for name, pattern in (self.labels or {}).items()
            )
        )


@dataclass(frozen=True, slots=True)
class Declared:
    """One `[[deployment]]`: its name, whom it selects, what it promises and earns."""

    name: str
    selector: Selector
    profile: str = "balanced"
    ttft_p95_s: float | None = None
    tpot_p95_s: float | None = None
    team: str | None = None
    usd_per_million_output_tokens_sold: float | None = None


_KEYS = [field.name for field in fields(Declared)]
_SELECTOR_KEYS = [field.name for field in fields(Selector)]
_NUMBERS = ("ttft_p95_s", "tpot_p95_s", "usd_per_million_output_tokens_sold")


def read_deployments(path: Path) -> tuple[Declared, ...]:
    """What a deployments.toml declares.

    Raises:
        SettingsError: it cannot be read, or a key or value in it is not known.
    """
    document = read_toml(path, "deployments", required=True)
    for key in document:
        _require_known("key", key, ["deployment"], path)
    tables = document.get("deployment", [])
    if not isinstance(tables, list):
        raise SettingsError(f"reading the deployments {path}: write [[deployment]]")
    declared = tuple(_declared(table, path) for table in tables)
    names = [one.name for one in declared]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"reading the deployments {path}: {twice!r} is declared twice")
    return declared


def _declared(table: Mapping[str, Any], path: Path) -> Declared:
    for key in table:
        _require_known("key", key, _KEYS, path)
    name = table.get("name")
    if not isinstance(name, str) or not name:
        raise SettingsError(f"reading the deployments {path}: a [[deployment]] has no name")
    profile = table.get("profile", "balanced")
    if profile not in PROFILES:
        said = unknown(f"profile {profile!r}", str(profile), [*PROFILES], f"{path}, {name}")
        raise SettingsError(f"reading the deployments: {said}")
    given = {key: value for key, value in table.items() if key not in {"selector", "name"}}
    for key in _NUMBERS:
        if key in given:
            given[key] = _positive(given[key], f"{name}.{key}", path)
    return Declared(name=name, selector=_selector(table.get("selector"), name, path), **given)


def _positive(value: object, key: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise SettingsError(
            f"reading the deployments {path}: {key} = {value!r} is not a number above 0"
        )
    return float(value)


def _selector(table: object, name: str, path: Path) -> Selector:
    if not isinstance(table, Mapping) or not table:
        raise SettingsError(
            f"reading the deployments {path}: {name} selects nothing; "
            'write selector = { model = "..." }'
        )
    for key in table:
        _require_known("selector key", key, _SELECTOR_KEYS, path)
    return Selector(**table)


def _require_known(what: str, word: str, known: list[str], path: Path) -> None:
    if word not in known:
        said = unknown(f"{what} {word!r}", word, known, str(path))
        raise SettingsError(f"reading the deployments: {said}")


def deployments(
    declared: Sequence[Declared], instances: Sequence[Instance], nodes: Sequence[Node]
) -> tuple[Deployment, ...]:
    """Every instance in one deployment: the first declared that selects it, else its model's."""
    by_host = {node.id: node for node in nodes}
    members: dict[str, list[Instance]] = {one.name: [] for one in declared}
    rest: dict[str, list[Instance]] = {}
    for instance in instances:
        node = by_host.get(instance.host_id)
        chosen = next((d.name for d in declared if d.selector.matches(instance, node)), None)
        if chosen is None:
            rest.setdefault(_own_name(instance, members), []).append(instance)
        else:
            members[chosen].append(instance)
    found = [_from_declared(one, members[one.name]) for one in declared]
    found += [_from_model(name, group) for name, group in sorted(rest.items())]
    return tuple(found)


def _own_name(instance: Instance, taken: Mapping[str, object]) -> str:
    """The model, with the role where it is not both; never a declared name."""
    name = instance.model or "unknown model"
    if instance.role != "unified":
        name = f"{name} ({instance.role})"
    return f"{name} (undeclared)" if name in taken else name


def _from_declared(one: Declared, members: Sequence[Instance]) -> Deployment:
    models = {instance.model for instance in members}
    return Deployment(
        name=one.name,
        instance_ids=tuple(instance.id for instance in members),
        model=models.pop() if len(models) == 1 else None,
        profile=one.profile,
        ttft_p95_s=one.ttft_p95_s,
        tpot_p95_s=one.tpot_p95_s,
        team=one.team,
        usd_per_million_output_tokens_sold=one.usd_per_million_output_tokens_sold,
        declared=True,
    )


def _from_model(name: str, members: Sequence[Instance]) -> Deployment:
    return Deployment(
        name=name,
        instance_ids=tuple(instance.id for instance in members),
        model=members[0].model,
    )
