"""SQL over stored windows: deltas within an origin, sources merged, windows into hours."""

# ruff: noqa: S608 - table and column names come from our own table; values are always bound

from __future__ import annotations

from collections.abc import Sequence

from advisor.store.columns import COLUMNS, Column
from advisor.store.duckdb_schema import origin_column
from advisor.summary import GPU_COLUMNS, INSTANCE_COLUMNS
from agent.vocabulary import SubjectKind

LOOKBACK_S = 86_400.0
"""How far before a range the end value is looked for that its first delta starts from."""

SOURCE_ORDER = ("nvml", "dcgm")
"""Where two sources give one column of one window, the earlier here is taken, then any other."""

ORIGIN_TOLERANCE_S = 0.5
"""Origins closer than this are one origin, read twice from clocks that round."""

_HOUR = "cast(ceil((w.end_s - 0.001) / 3600) - 1 as bigint) * 3600"
"""The hour that holds a window's end; a window ending on the hour belongs to the hour before."""


def _delta(name: str) -> str:
    """A counter's delta: against the end value before it in its origin, or since a newer origin.

    A counter that went back without a new origin, or began before it was first seen, has none.
    """
    origin = origin_column(name)
    before, origin_before = f"lag({name} ignore nulls) over w", f"lag({origin} ignore nulls) over w"
    return f"""case
        when {name} is null then null
        when abs({origin} - {origin_before}) < {ORIGIN_TOLERANCE_S}
            then case when {name} >= {before} then {name} - {before} end
        when {origin} >= coalesce(lag(end_s) over w, start_s) - {ORIGIN_TOLERANCE_S} then {name}
        end as {name}"""


def _priority() -> str:
    listed = ", ".join(f"'{source}'" for source in SOURCE_ORDER)
    return f"coalesce(list_position([{listed}], source), {len(SOURCE_ORDER) + 1})"


def merged_windows(kind: SubjectKind, names: Sequence[str], condition: str = "true") -> str:
    """Windows of a kind with counters as deltas, one row a window, columns of all its sources.

    `begin_s` is when its deltas begin: its start, or the end of the window before a gap.
    Parameters: $since, $until (Unix seconds; $since is the start less LOOKBACK_S).
    """
    columns = [COLUMNS[kind][name] for name in names]
    steps = "".join(f", {_delta(c.name) if c.cumulative else c.name}" for c in columns)
    picks = "".join(f", arg_min({c.name}, priority) as {c.name}" for c in columns)
    return f"""
    select host_id, subject_id, epoch, sequence, max(end_s) as end_s, min(begin_s) as begin_s,
        min(start_s) as start_s, arg_min(info_digest, priority) as info_digest{picks}
    from (
        select host_id, subject_id, epoch, sequence, end_s, start_s, info_digest,
            coalesce(least(start_s, lag(end_s) over w), start_s) as begin_s,
            {_priority()} as priority{steps}
        from {kind}_windows
        where end_s > $since and end_s <= $until and ({condition})
        window w as (partition by host_id, subject_id, source order by end_s, epoch, sequence)
    )
    group by host_id, subject_id, epoch, sequence"""


def described_windows(kind: SubjectKind, names: Sequence[str], condition: str = "true") -> str:
    """merged_windows; a window that says nothing of its configuration keeps the one before."""
    return f"""
    select * exclude (info_digest), last_value(info_digest ignore nulls) over (
        partition by host_id, subject_id order by end_s, epoch, sequence) as info_digest
    from ({merged_windows(kind, names, condition)})"""


def _hourly(column: Column) -> str:
    name = column.name
    span = "(end_s - start_s)"
    match column.hour:
        case "delta":
            return f"sum({name}) as {name}"
        case "mean":
            seen = f"sum({span}) filter ({name} is not null)"
            return f"sum({name} * {span}) / {seen} as {name}"
        case "max":
            return f"max({name}) as {name}"
        case "last":
            return f"arg_max({name}, end_s) as {name}"


def _hourly_aggregates(kind: SubjectKind, names: Sequence[str]) -> str:
    """Aggregates of an hour; `<column>_seconds` is the time that energy or power stands for."""
    spans = {"energy_j": "end_s - begin_s", "power_w": "end_s - start_s"}
    seconds = [
        f"sum({span}) filter ({name} is not null) as {name}_seconds"
        for name, span in spans.items()
        if name in names
    ]
    return ", ".join([*(_hourly(COLUMNS[kind][name]) for name in names), *seconds])


def gpu_hours() -> str:
    """One row a GPU and hour. Parameters: $since, $start, $until.

    Energy is the hardware counter's; without one, what the agent integrated; without that, mean
    power times the time it was seen.
    """
    asked = [name for name in GPU_COLUMNS if name in COLUMNS["gpu"]]
    names = (*asked, "energy_derived_j", "power_w")
    return f"""
    select * replace (
        coalesce(energy_j, energy_derived_j, power_w * power_w_seconds) as energy_j,
        case when energy_j is not null then energy_j_seconds
             else coalesce(power_observed_s, power_w_seconds) end as power_observed_s)
    from (
        select host_id, subject_id, {_HOUR} as hour_s, {_hourly_aggregates("gpu", names)}
        from ({merged_windows("gpu", names)}) w
        where end_s > $start
        group by host_id, subject_id, hour_s)"""


def _instance_names() -> list[str]:
    asked = [name for name in INSTANCE_COLUMNS if name in COLUMNS["instance"]]
    loads = [name for name in COLUMNS["instance"] if name.startswith("load_")]
    return [*asked, "completed_requests", *loads]


def instance_hours() -> str:
    """One row an instance, description and hour, with the energy of its GPUs.

    A GPU that several rows of one hour name (two instances on it, or a change of configuration) is
    shared among them by the seconds each was seen: equally, where both were there all the hour.
    Parameters: $since, $start, $until.
    """
    names = _instance_names()
    keys = "host_id, subject_id, info_digest, hour_s"
    return f"""
    with hour as (
        select host_id, subject_id, coalesce(info_digest, '') as info_digest, {_HOUR} as hour_s,
            sum(end_s - start_s) as seconds, {_hourly_aggregates("instance", names)}
        from ({described_windows("instance", names)}) w
        where end_s > $start
        group by 1, 2, 3, 4
    ), claim as (
        select {keys}, seconds, unnest(string_split(gpu_ids, ',')) as gpu_id
        from hour join (
            select host_id, subject_id, digest as info_digest,
                attributes ->> '$."joulewise.gpu.ids"' as gpu_ids
            from infos where kind = 'instance') using (host_id, subject_id, info_digest)
    ), share as (
        select *, seconds / sum(seconds) over (partition by gpu_id, hour_s) as share
        from claim where gpu_id <> ''
    ), energy as (
        select share.host_id, share.subject_id, share.info_digest, share.hour_s,
            sum(gpu.energy_j * share) as gpu_energy_j,
            sum(gpu.power_observed_s * share) as gpu_observed_s, count(*) as gpu_count
        from share left join ({gpu_hours()}) gpu
            on gpu.subject_id = share.gpu_id and gpu.hour_s = share.hour_s
        group by 1, 2, 3, 4
    )
    select * from hour left join energy using ({keys})
    order by host_id, subject_id, hour_s, info_digest"""


def hourly_histograms() -> str:
    """The last end value of each histogram in each hour, origin and description, in order of time.

    Parameters: $since, $until. Deltas between these rows are what the hours hold.
    """
    return f"""
    select host_id, subject_id, source, name, origin, coalesce(info_digest, '') as info_digest,
        {_HOUR} as hour_s,
        arg_max(bounds, w.end_s) as bounds, arg_max(counts, w.end_s) as counts,
        arg_max(sum, w.end_s) as sum, max(w.end_s) as last_s, min(w.start_s) as first_start_s
    from histograms h
    join ({described_windows("instance", ())}) w using (host_id, subject_id, epoch, sequence)
    group by 1, 2, 3, 4, 5, 6, 7
    order by host_id, subject_id, source, name, last_s"""
