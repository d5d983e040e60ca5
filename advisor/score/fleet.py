"""The situations of all instances of a fleet, each with its types, load, cost and coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from advisor.assessment import CostLine
from advisor.catalog.gpus import GpuType
from advisor.catalog.prices import Price, price
from advisor.economics.lookup import Lookup
from advisor.score.health import health
from advisor.score.measure import measure, rows_of, workload
from advisor.score.objective import Objective, objective_of
from advisor.score.situation import (
    Situation,
    architecture_of,
    configuration_of,
    coverage_of,
    drivers_of,
    gpu_type_of,
)
from advisor.summary import Deployment, Fleet, Gpu, Instance


def situations(
    fleet: Fleet,
    types: Mapping[str, GpuType | None],
    prices: Sequence[Price],
    profiles: Mapping[str, Objective],
    costs: Mapping[str, CostLine],
) -> tuple[Situation, ...]:
    """One situation an instance, in the order of the fleet; `costs` are lines by instance id."""
    lookups = (Lookup(fleet.instance_hours.instance_id), Lookup(fleet.gpu_hours.gpu_id))
    gpus = {gpu.id: gpu for gpu in fleet.gpus}
    owners = {i: d for d in fleet.deployments for i in d.instance_ids}
    return tuple(
        _situation(
            fleet,
            one,
            lookups=lookups,
            gpus=gpus,
            deployment=owners.get(one.id),
            gpu=gpu_type_of(one, types),
            prices=prices,
            profiles=profiles,
            cost=costs.get(one.id),
        )
        for one in fleet.instances
    )


def _situation(
    fleet: Fleet,
    instance: Instance,
    *,
    lookups: tuple[Lookup, Lookup],
    gpus: Mapping[str, Gpu],
    deployment: Deployment | None,
    gpu: GpuType | None,
    prices: Sequence[Price],
    profiles: Mapping[str, Objective],
    cost: CostLine | None,
) -> Situation:
    architecture = architecture_of(instance)
    configuration, unknown = configuration_of(instance, gpu, architecture)
    objective = objective_of(deployment, profiles)
    paid = price(gpu.id, fleet.end, prices) if gpu else None
    rows = rows_of(fleet.instance_hours, instance, lookups[0])
    measured = measure(rows, instance, objective, cost)
    return Situation(
        instance=instance,
        deployment=deployment,
        gpu=gpu,
        architecture=architecture,
        configuration=configuration,
        unknown=unknown,
        rows=rows,
        measured=measured,
        workload=workload(rows),
        objective=objective,
        health=health(fleet.gpu_hours, instance.gpu_ids, lookups[1]),
        cost=cost,
        usd_per_gpu_hour=paid.usd_per_gpu_hour if paid else None,
        price_label=paid.label if paid else None,
        drivers=drivers_of(instance, gpus),
        coverage=coverage_of(instance, measured.observed_s, fleet.start, fleet.end),
    )
