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
    each = {
        one.instance.id: (
            float(max(len(one.instance.gpu_ids), 1)),
            _instance_card(one, best.get(one.instance.id), _peers(one, situations), now),
        )
        for one in situations
    }
    nodes = [_node_card(fleet, node.id, each) for node in fleet.nodes]
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


def _peers(situation: Situation, situations: Sequence[Situation]) -> tuple[Situation, ...]:
    """The instances of the same deployment, this one among them."""
    if situation.deployment is None:
        return (situation,)
    return tuple(s for s in situations if s.deployment == situation.deployment)


def _node_card(
    fleet: Fleet, host_id: str, each: Mapping[str, tuple[float, Scorecard]]
) -> Scorecard | None:
    """A node by its instances and, where GPUs hold no instance, by what those cost for nothing."""
    members = [each[i.id] for i in fleet.instances if i.host_id == host_id and i.id in each]
    held = {gpu for i in fleet.instances for gpu in i.gpu_ids}
    free = sum(gpu.host_id == host_id and gpu.id not in held for gpu in fleet.gpus)
    if free:
        reason = f"{free} GPUs hold no serving process"
        idle = (IDLE.of(1.0, reason), IDLE_COST.of(1.0, reason))
        members.append((float(free), scorecard("node", f"{host_id}, unallocated", idle)))
    return combine("node", host_id, members) if members else None


def _deployment_card(
    deployment: Deployment, each: Mapping[str, tuple[float, Scorecard]]
) -> Scorecard | None:
    members = [each[i] for i in deployment.instance_ids if i in each]
    return combine("deployment", deployment.name, members) if members else None
