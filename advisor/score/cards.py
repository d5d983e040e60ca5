"""Scorecards of a fleet: each instance by its indicators, and what instances make together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from advisor.score.attainable import Attainable
from advisor.score.dimensions import combine, scorecard
from advisor.score.indicators import indicators
from advisor.score.indicators.roi import IDLE_COST
from advisor.score.indicators.scale import IDLE
from advisor.score.indicators.view import View
from advisor.score.result import Scorecard
from advisor.score.situation import Situation
from advisor.summary import Deployment, Fleet


def scorecards(
    fleet: Fleet,
    situations: Sequence[Situation],
    best: Mapping[str, Attainable | None],
    now: datetime,
) -> tuple[Scorecard, ...]:
    """Scorecards of the fleet, then nodes, deployments and instances."""
    peers = _peers(situations)
    each = {
        one.instance.id: (
            float(max(len(one.instance.gpu_ids), 1)),
            _instance_card(one, best.get(one.instance.id), peers[_team(one)], now),
        )
        for one in situations
    }
    hosts = _hosts(fleet, each)
    nodes = [_node_card(node.id, hosts.get(node.id, [])) for node in fleet.nodes]
    deployments = [_deployment_card(d, each) for d in fleet.deployments]
    cards = [card for card in (*nodes, *deployments) if card is not None]
    counts = Counter(gpu.host_id for gpu in fleet.gpus)
    members = [(float(counts[card.id] or 1), card) for card in nodes if card is not None]
    whole = [combine("fleet", "fleet", members)] if members else []
    return (*whole, *cards, *(card for _, card in each.values()))


def _instance_card(
    situation: Situation, best: Attainable | None, peers: tuple[Situation, ...], now: datetime
) -> Scorecard:
    view = View(situation, best, peers, now)
    return scorecard("instance", situation.instance.id, indicators(view))


def _team(situation: Situation) -> str:
    """The deployment of an instance; one without is alone."""
    deployment = situation.deployment
    return situation.instance.id if deployment is None else f"deployment {deployment.name}"


def _peers(situations: Sequence[Situation]) -> dict[str, tuple[Situation, ...]]:
    """The instances of each deployment."""
    found: dict[str, list[Situation]] = {}
    for one in situations:
        found.setdefault(_team(one), []).append(one)
    return {team: tuple(members) for team, members in found.items()}


def _hosts(
    fleet: Fleet, each: Mapping[str, tuple[float, Scorecard]]
) -> dict[str, list[tuple[float, Scorecard]]]:
    """The members of each node: its instances, and what GPUs without one cost for nothing."""
    found: dict[str, list[tuple[float, Scorecard]]] = {}
    for instance in fleet.instances:
        if instance.id in each:
            found.setdefault(instance.host_id, []).append(each[instance.id])
    held = {gpu for instance in fleet.instances for gpu in instance.gpu_ids}
    for host, free in Counter(g.host_id for g in fleet.gpus if g.id not in held).items():
        reason = f"{free} GPUs hold no serving process"
        idle = (IDLE.of(1.0, reason), IDLE_COST.of(1.0, reason))
        card = scorecard("node", f"{host}, unallocated", idle)
        found.setdefault(host, []).append((float(free), card))
    return found


def _node_card(host_id: str, members: Sequence[tuple[float, Scorecard]]) -> Scorecard | None:
    return combine("node", host_id, members) if members else None


def _deployment_card(
    deployment: Deployment, each: Mapping[str, tuple[float, Scorecard]]
) -> Scorecard | None:
    members = [each[i] for i in deployment.instance_ids if i in each]
    return combine("deployment", deployment.name, members) if members else None
