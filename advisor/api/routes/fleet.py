"""Nodes, GPUs, instances and deployments: what exists, with what was said of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from advisor.api import present
from advisor.api.models import (
    DeploymentResource,
    GpuResource,
    InstanceResource,
    Listing,
    NodeResource,
)
from advisor.api.paging import Paged, cut
from advisor.api.problem import responses
from advisor.api.request import Latest, missing

router = APIRouter(tags=["fleet"])
Node = Annotated[str | None, Query(description="only those of this node", max_length=200)]


@router.get("/nodes")
def list_nodes(assessment: Latest, page: Paged) -> Listing[NodeResource]:
    """Every node, by id."""
    nodes = sorted(assessment.fleet.nodes, key=lambda node: node.id)
    items, cursor = cut(nodes, page, lambda node: node.id)
    return Listing(items=[present.node(assessment, n) for n in items], next_cursor=cursor)


@router.get("/nodes/{node_id}", responses=responses(404))
def get_node(
    assessment: Latest, node_id: Annotated[str, Path(examples=["h100-a"])]
) -> NodeResource:
    """One node by its host id."""
    for node in assessment.fleet.nodes:
        if node.id == node_id:
            return present.node(assessment, node)
    raise missing("node", node_id, "/api/v1/nodes")


@router.get("/gpus")
def list_gpus(assessment: Latest, page: Paged, node: Node = None) -> Listing[GpuResource]:
    """Every GPU with its means over the range, by node and UUID."""
    gpus = [gpu for gpu in assessment.fleet.gpus if node in (None, gpu.host_id)]
    gpus.sort(key=lambda gpu: (gpu.host_id, gpu.id))
    items, cursor = cut(gpus, page, lambda gpu: gpu.id)
    return Listing(items=[present.gpu(assessment, g) for g in items], next_cursor=cursor)


@router.get("/instances")
def list_instances(assessment: Latest, page: Paged, node: Node = None) -> Listing[InstanceResource]:
    """Every instance with its configuration, by id."""
    instances = [i for i in assessment.fleet.instances if node in (None, i.host_id)]
    instances.sort(key=lambda instance: instance.id)
    items, cursor = cut(instances, page, lambda instance: instance.id)
    return Listing(items=[present.instance(assessment, i) for i in items], next_cursor=cursor)


@router.get("/instances/{instance_id}", responses=responses(404))
def get_instance(
    assessment: Latest, instance_id: Annotated[str, Path(examples=["h100-a:8000"])]
) -> InstanceResource:
    """One instance."""
    for instance in assessment.fleet.instances:
        if instance.id == instance_id:
            return present.instance(assessment, instance)
    raise missing("instance", instance_id, "/api/v1/instances")


@router.get("/deployments")
def list_deployments(assessment: Latest, page: Paged) -> Listing[DeploymentResource]:
    """Every deployment, by name."""
    deployments = sorted(assessment.fleet.deployments, key=lambda deployment: deployment.name)
    items, cursor = cut(deployments, page, lambda deployment: deployment.name)
    return Listing(items=[present.deployment(assessment, d) for d in items], next_cursor=cursor)
