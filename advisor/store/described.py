"""What nodes, GPUs and instances said of themselves, as the records that reasoning takes."""

# ruff: noqa: S608 - table and column names come from our own table; values are always bound

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from advisor.store.duckdb_deltas import SOURCE_ORDER
from advisor.summary import Gpu, Instance, Node
from agent.vocabulary import SubjectKind


@dataclass(frozen=True)
class Description:
    """A subject's attributes as last said by its sources, and when it was first and last seen."""

    host_id: str
    subject_id: str
    attributes: Mapping[str, str]
    first_seen: datetime
    last_seen: datetime


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _source_rank(source: str) -> int:
    return SOURCE_ORDER.index(source) if source in SOURCE_ORDER else len(SOURCE_ORDER)


def described(reader: duckdb.DuckDBPyConnection, kind: SubjectKind) -> list[Description]:
    """Every subject of a kind with its latest attributes; the first of SOURCE_ORDER wins."""
    rows = reader.execute(
        f"""select w.host_id, w.subject_id, w.source, attributes, w.first_s, w.last_s
        from (select host_id, subject_id, source, arg_max(info_digest, end_s) as digest,
                min(start_s) as first_s, max(end_s) as last_s
              from {kind}_windows group by 1, 2, 3) w
        left join infos on infos.kind = '{kind}' and infos.host_id = w.host_id
            and infos.subject_id = w.subject_id and infos.digest = w.digest"""
    ).fetchall()
    by_subject = defaultdict(list)
    for host, subject, source, attributes, first, last in rows:
        said = json.loads(attributes) if attributes else {}
        by_subject[host, subject].append((_source_rank(source), source, said, first, last))
    found = []
    for (host, subject), sources in sorted(by_subject.items()):
        merged: dict[str, str] = {}
        for _, _, said, _, _ in sorted(sources, key=lambda row: row[:2], reverse=True):
            merged.update(said)
        first, last = min(row[3] for row in sources), max(row[4] for row in sources)
        found.append(Description(host, subject, merged, _time(first), _time(last)))
    return found


def gpus(reader: duckdb.DuckDBPyConnection) -> tuple[Gpu, ...]:
    """Every GPU as last described."""
    return tuple(_gpu(found) for found in described(reader, "gpu"))


def _gpu(found: Description) -> Gpu:
    said = found.attributes
    return Gpu(
        id=found.subject_id,
        host_id=found.host_id,
        product=said.get("hw.model", ""),
        driver_version=said.get("hw.driver_version"),
        compute_capability=said.get("joulewise.gpu.compute_capability"),
        memory_bytes=_number(said.get("joulewise.gpu.memory")),
        fabric_cluster=said.get("joulewise.fabric.cluster"),
        fabric_clique=said.get("joulewise.fabric.clique"),
        last_seen=found.last_seen,
    )


def instances(reader: duckdb.DuckDBPyConnection) -> tuple[Instance, ...]:
    """Every instance as last described."""
    return tuple(_instance(found) for found in described(reader, "instance"))


def _instance(found: Description) -> Instance:
    said = found.attributes
    return Instance(
        id=found.subject_id,
        host_id=found.host_id,
        engine=said.get("joulewise.engine.name", ""),
        gpu_ids=_list(said.get("joulewise.gpu.ids")),
        config_digest=said.get("joulewise.config.digest", ""),
        engine_version=said.get("joulewise.engine.version"),
        model=said.get("joulewise.model"),
        weights=said.get("joulewise.precision.weights"),
        kv=said.get("joulewise.precision.kv"),
        tensor_parallel=_whole(said.get("joulewise.parallel.tensor")),
        pipeline_parallel=_whole(said.get("joulewise.parallel.pipeline")),
        data_parallel=_whole(said.get("joulewise.parallel.data")),
        expert_parallel=_whole(said.get("joulewise.parallel.expert")),
        max_sequences=_whole(said.get("joulewise.max_sequences")),
        max_batched_tokens=_whole(said.get("joulewise.max_batched_tokens")),
        max_model_length=_whole(said.get("joulewise.max_model_length")),
        memory_utilization=_number(said.get("joulewise.memory_utilization")),
        features=_list(said.get("joulewise.features")),
        role=said.get("joulewise.role") or "unified",
        tiers=_pairs(said.get("joulewise.tiers")),
        first_seen=found.first_seen,
        last_seen=found.last_seen,
    )


def nodes(reader: duckdb.DuckDBPyConnection) -> tuple[Node, ...]:
    """Every node ever seen, with its agent's own count of batches."""
    batches = _batches(reader)
    agents = {found.host_id: found for found in _by_time(described(reader, "agent"))}
    labels = {found.host_id: found.attributes for found in described(reader, "node")}
    return tuple(
        _node(found, labels.get(host, {}), batches.get(host, (None, None, None)))
        for host, found in sorted(agents.items())
    )


def _by_time(found: list[Description]) -> list[Description]:
    return sorted(found, key=lambda one: one.last_seen)


def _batches(
    reader: duckdb.DuckDBPyConnection,
) -> dict[str, tuple[float | None, float | None, float | None]]:
    rows = reader.execute(
        """select host_id, arg_max(batches_produced, end_s), arg_max(batches_acknowledged, end_s),
            arg_max(batches_dropped, end_s)
        from agent_windows group by host_id"""
    ).fetchall()
    return {
        host: (produced, acknowledged, dropped) for host, produced, acknowledged, dropped in rows
    }


def _node(
    found: Description,
    labels: Mapping[str, str],
    batches: tuple[float | None, float | None, float | None],
) -> Node:
    produced, acknowledged, dropped = (count or 0.0 for count in batches)
    return Node(
        id=found.host_id,
        name=found.attributes.get("host.name") or found.host_id,
        last_seen=found.last_seen,
        agent_version=found.attributes.get("service.version"),
        batches_produced=produced,
        batches_acknowledged=acknowledged,
        batches_dropped=dropped,
        labels=labels,
    )


def config_digests(reader: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], str]:
    """The configuration digest of each (host, instance, info digest)."""
    rows = reader.execute(
        "select host_id, subject_id, digest, attributes from infos where kind = 'instance'"
    ).fetchall()
    return {
        (host, subject, digest): json.loads(attributes).get("joulewise.config.digest", "")
        for host, subject, digest, attributes in rows
    }


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None or number != number // 1 else int(number)


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part for part in (text or "").split(",") if part)


def _pairs(text: str | None) -> dict[str, str]:
    pairs = (part.partition("=") for part in _list(text))
    return {name: value for name, _, value in pairs if value}
