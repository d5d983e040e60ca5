"""Cost lines of a fleet and its parts: GPU-hours by their use, dollars, joules, tokens.

Parts sum to the whole: instances and unallocated time make a node, nodes make the fleet. Where a
GPU has no price its cost is absent, and tokens served on it do not enter a rate in dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from advisor.assessment import CostLine
from advisor.economics.grid import GpuGrid, allocated_gpu_seconds, busy_ratio
from advisor.economics.tokens import usd_per_million
from advisor.summary import Fleet, Floats, Instance


@dataclass(frozen=True, slots=True)
class Totals:
    """What adds up: every field is a sum, NaN where it was never observed."""

    gpu_s: float
    allocated_s: float
    active_s: float
    effective_s: float
    cost_usd: float
    idle_usd: float
    allocated_usd: float
    active_usd: float
    effective_usd: float
    energy_j: float
    output_tokens: float
    input_tokens: float
    priced_tokens: float
    metered_tokens: float
    gpus: float
    sources: frozenset[str]

    def scaled(self, share: float) -> Totals:
        """The same with every sum times `share`: the part of an instance that lies on one node."""
        sums = {name: getattr(self, name) * share for name in _SUMS}
        return Totals(**sums, sources=self.sources)


_SUMS = tuple(name for name in Totals.__dataclass_fields__ if name != "sources")


def add(parts: Iterable[Totals]) -> Totals:
    """The sum of parts; a field is NaN only where no part has it."""
    rows = list(parts)
    sums = {name: _sum(np.array([getattr(part, name) for part in rows])) for name in _SUMS}
    return Totals(**sums, sources=frozenset().union(*(part.sources for part in rows)))


def _sum(values: Floats) -> float:
    return float(np.nansum(values)) if np.isfinite(values).any() else float("nan")


def instance_totals(
    fleet: Fleet, grid: GpuGrid, instance: Instance, attainable_tokens_per_s: float | None
) -> Totals:
    """Sums of one instance over the fleet's range, all configurations it ran with."""
    hours = fleet.instance_hours
    rows = grid.instances.rows(instance.id)
    held_s, paid = allocated_gpu_seconds(grid, instance, hours, rows)
    busy = busy_ratio(hours, rows)
    tokens = hours.columns["output_tokens"][rows]
    made = _made(tokens, hours.columns["observed_s"][rows], attainable_tokens_per_s)
    energy = hours.columns["gpu_energy_j"][rows]
    cost_usd = float(paid.sum()) if instance.gpu_ids else float("nan")
    return Totals(
        gpu_s=float(held_s.sum()),
        allocated_s=float(held_s.sum()),
        active_s=_sum(held_s * busy),
        effective_s=_sum(held_s * made),
        cost_usd=cost_usd,
        idle_usd=_sum(paid * (1 - busy)),
        allocated_usd=cost_usd,
        active_usd=_sum(paid * busy),
        effective_usd=_sum(paid * made),
        energy_j=_sum(energy),
        output_tokens=_sum(tokens),
        input_tokens=_sum(hours.columns["input_tokens"][rows]),
        priced_tokens=_sum(np.where(np.isfinite(paid), tokens, np.nan)),
        metered_tokens=_sum(np.where(np.isfinite(energy), tokens, np.nan)),
        gpus=float(len(instance.gpu_ids)),
        sources=frozenset(grid.labels[grid.gpu_index[gpu]] for gpu in instance.gpu_ids),
    )


def _made(tokens: Floats, observed_s: Floats, attainable: float | None) -> Floats:
    """Tokens over what the same seconds could have made, at most 1, shape (rows,)."""
    made = np.full(tokens.shape, np.nan)
    if attainable:
        np.divide(tokens, observed_s * attainable, out=made, where=observed_s > 0)
    capped: Floats = np.minimum(made, 1.0)
    return capped


def unallocated_totals(grid: GpuGrid, host_id: str) -> Totals:
    """Time of a node's GPUs that no serving process held; its energy belongs to nobody else."""
    on_node = grid.host_id == host_id
    free_s = np.maximum(grid.total_s - grid.allocated_s, 0.0)[on_node]
    paid = np.where(free_s > 0, free_s / 3600.0 * grid.usd_per_hour[on_node], np.nan)
    whole_s = grid.total_s[on_node]
    part = np.divide(free_s, whole_s, out=np.zeros_like(free_s), where=whole_s > 0)
    labels = (grid.labels[i] for i in np.flatnonzero(on_node))
    return Totals(
        gpu_s=float(free_s.sum()),
        allocated_s=0.0,
        active_s=0.0,
        effective_s=0.0,
        cost_usd=_sum(paid),
        idle_usd=_sum(paid),
        allocated_usd=0.0,
        active_usd=0.0,
        effective_usd=0.0,
        energy_j=_sum(np.where(part > 0, grid.energy_j[on_node] * part, np.nan)),
        output_tokens=np.nan,
        input_tokens=np.nan,
        priced_tokens=np.nan,
        metered_tokens=np.nan,
        gpus=0.0,
        sources=frozenset(labels),
    )


def node_totals(
    grid: GpuGrid, host_id: str, instances: Iterable[tuple[Instance, Totals]]
) -> Totals:
    """A node as its instances, each by the share of its GPUs there, and unallocated time."""
    parts = [unallocated_totals(grid, host_id)]
    for instance, totals in instances:
        hosts = [grid.host_id[grid.gpu_index[gpu]] for gpu in instance.gpu_ids]
        if host_id in hosts:
            parts.append(totals.scaled(hosts.count(host_id) / len(hosts)))
        elif not hosts and instance.host_id == host_id:
            parts.append(totals)
    total = add(parts)
    count = float(np.count_nonzero(grid.host_id == host_id))
    return replace(total, gpus=count)


def line(kind: str, target_id: str, totals: Totals) -> CostLine:
    """Sums as a cost line: hours, and rates over all time allocated. Absent sums are None."""
    cost = _or_none(totals.cost_usd)
    energy = _or_none(totals.energy_j)
    metered = _or_none(totals.metered_tokens)
    return CostLine(
        kind=kind,
        id=target_id,
        gpu_hours=totals.gpu_s / 3600.0,
        allocated_gpu_hours=totals.allocated_s / 3600.0,
        active_gpu_hours=0.0 if np.isnan(totals.active_s) else totals.active_s / 3600.0,
        effective_gpu_hours=_hours_or_none(totals.effective_s),
        cost_usd=cost,
        idle_cost_usd=_or_none(totals.idle_usd),
        energy_j=energy,
        output_tokens=_or_none(totals.output_tokens),
        input_tokens=_or_none(totals.input_tokens),
        usd_per_million_output_tokens=usd_per_million(cost, _or_none(totals.priced_tokens)),
        joules_per_output_token_gpu=energy / metered if energy is not None and metered else None,
        mean_power_w=_power(energy, totals),
        price_sources=tuple(sorted(label for label in totals.sources if label)),
        allocated_cost_usd=_or_none(totals.allocated_usd) if cost is not None else None,
        active_cost_usd=_or_none(totals.active_usd) if cost is not None else None,
        effective_cost_usd=_or_none(totals.effective_usd) if cost is not None else None,
    )


def _power(energy_j: float | None, totals: Totals) -> float | None:
    """Mean watts of all the target's GPUs together while they were observed."""
    if energy_j is None or totals.gpu_s <= 0:
        return None
    return energy_j / totals.gpu_s * totals.gpus


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _hours_or_none(seconds: float) -> float | None:
    return None if np.isnan(seconds) else seconds / 3600.0


def cost_lines(
    fleet: Fleet, grid: GpuGrid, attainable: Mapping[str, float | None]
) -> tuple[CostLine, ...]:
    """Lines of the fleet, then nodes, deployments, teams and instances.

    `attainable` gives each instance's attainable output tokens/s; without it no effective hours.
    """
    each = {i.id: instance_totals(fleet, grid, i, attainable.get(i.id)) for i in fleet.instances}
    pairs = [(instance, each[instance.id]) for instance in fleet.instances]
    nodes = {node.id: node_totals(grid, node.id, pairs) for node in fleet.nodes}
    lines = [line("fleet", "fleet", add(nodes.values()))] if nodes else []
    lines += [line("node", host, totals) for host, totals in nodes.items()]
    teams: dict[str, list[Totals]] = {}
    for deployment in fleet.deployments:
        parts = [each[i] for i in deployment.instance_ids if i in each]
        if not parts:
            continue
        lines.append(line("deployment", deployment.name, add(parts)))
        if deployment.team:
            teams.setdefault(deployment.team, []).extend(parts)
    lines += [line("team", team, add(parts)) for team, parts in sorted(teams.items())]
    return (*lines, *(line("instance", i, totals) for i, totals in each.items()))
