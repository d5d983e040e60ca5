"""The latency an instance must keep: what its deployment declares, else the limits of a profile.

The profiles are defaults to be replaced: 50 ms a token is what Dynamo's planner assumes without a
setting (its 500 ms to the first token is `interactive` here); the others tighten or relax it, and
`offline` is a batch that nobody waits for but that is to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advisor.summary import Deployment


@dataclass(frozen=True, slots=True)
class Objective:
    """Limits at the 95th percentile, and who set them."""

    ttft_p95_s: float
    tpot_p95_s: float
    source: str


PROFILES: Mapping[str, Objective] = {
    "interactive": Objective(0.5, 0.025, "profile interactive"),
    "balanced": Objective(2.0, 0.05, "profile balanced"),
    "throughput": Objective(10.0, 0.2, "profile throughput"),
    "offline": Objective(3600.0, 1.0, "profile offline"),
}


def objective_of(
    deployment: Deployment | None, profiles: Mapping[str, Objective] = PROFILES
) -> Objective:
    """The limits of a deployment; each one it does not declare comes from its profile."""
    profile = profiles.get(deployment.profile if deployment else "balanced", PROFILES["balanced"])
    if deployment is None or (deployment.ttft_p95_s is None and deployment.tpot_p95_s is None):
        return profile
    return Objective(
        ttft_p95_s=deployment.ttft_p95_s or profile.ttft_p95_s,
        tpot_p95_s=deployment.tpot_p95_s or profile.tpot_p95_s,
        source=f"deployment {deployment.name}",
    )
