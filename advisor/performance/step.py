"""Seconds of one engine step from its work and the fitted constants; the parts sum to the step."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.performance.work import Work


@dataclass(frozen=True, slots=True)
class Constants:
    """What a GPU generation, an engine and a precision make of peak rates: ratios, seconds."""

    memory_efficiency: float
    expert_efficiency: float
    cache_efficiency: float
    compute_efficiency: float
    layer_s: float
    moe_layer_s: float
    sequence_s: float
    step_s: float
    collective_s: float


LINK_EFFICIENCY = 0.7
"""Share of a link's rate that large messages reach: assumed, the rows say too little of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds of one step by part."""

    weights_s: float
    experts_s: float
    attention_s: float
    communication_s: float
    overhead_s: float

    @property
    def total_s(self) -> float:
        """The whole step."""
        return (
            self.weights_s
            + self.experts_s
            + self.attention_s
            + self.communication_s
            + self.overhead_s
        )


def _longer(memory_s: float, compute_s: float) -> float:
    """Two times that partly overlap: near the longer, rounded where both matter."""
    longer: float = (memory_s * memory_s + compute_s * compute_s) ** 0.5
    return longer


def step_time(work: Work, k: Constants) -> Step:
    """The step's parts, each work at its achieved rate. Works on arrays as on floats."""
    return Step(
        weights_s=_longer(
            work.weight_memory_s / k.memory_efficiency,
            work.weight_compute_s / k.compute_efficiency,
        ),
        experts_s=_longer(
            work.expert_memory_s / k.expert_efficiency,
            work.expert_compute_s / k.compute_efficiency,
        ),
        attention_s=_longer(
            work.cache_memory_s / k.cache_efficiency,
            work.attention_compute_s / k.compute_efficiency,
        ),
        communication_s=work.link_s / LINK_EFFICIENCY + work.collectives * k.collective_s,
        overhead_s=k.step_s
        + work.layers * k.layer_s
        + work.moe_layers * k.moe_layer_s
        + work.sequences * k.sequence_s,
    )
