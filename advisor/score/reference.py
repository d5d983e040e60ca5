"""docs/scores.md: what scores, indicators and cost lines mean, written from their definitions."""

from __future__ import annotations

from advisor.score.diagnosis import ACTIVE_UTILIZATION, IDLE_BUSY_RATIO, THROTTLED_RATIO
from advisor.score.indicators import KINDS
from advisor.score.objective import PROFILES
from advisor.score.result import DIMENSIONS
from advisor.score.scoring import SCORING
from advisor.score.situation import SATURATED_RATIO

_TITLES = {
    "scale": "Scale and complexity",
    "multidimensional": "Multidimensional performance",
    "architecture": "Architecture and software",
    "roi": "Return on investment",
    "ecosystem": "Technology ecosystem and install base",
}

_DOCS = f"""# Scores, diagnoses and cost lines

Written from their definitions by `advisor.score.reference`; a test keeps it current.

## How a score is made

An indicator is one measured quantity of one instance, 0 to 100 points, linear between the two
ends of its scale. A dimension is the weighted mean of its indicators, and at most its worst
critical indicator plus {SCORING.critical_margin:g}. The total is the weighted mean of the
dimensions. A score is a pair: `low` counts every indicator without data as 0, `high` as 100;
tables sort by `low`, so that switching telemetry off never helps. Nodes, deployments and the
fleet are means of their instances, weighted by GPUs; GPUs that hold no serving process count
as idle. An indicator of a node is that of its worst instance, named in the reason. Weights and
version are in `advisor/score/scoring.yaml` (version {SCORING.version}).

The attainable is what the performance model says of the same instance for the demand that was
there, as a ratio on what was measured, inside memory and the latency limits: tokens/s move
only the batch, joules and dollars a token also take the best precision and the fewest GPUs.

"""

_LIMITS = """## Latency limits

Limits are at the 95th percentile; what a deployment does not declare comes from its profile.

| profile | time to first token | time per output token |
|---|---|---|
"""

_DIAGNOSES = f"""
## Diagnoses

The first that holds: `telemetry_fault` (kernels ran at least {ACTIVE_UTILIZATION:.0%} of the
time and engine activity is exactly 0), `reserved`, `idle` (requests ran less than
{IDLE_BUSY_RATIO:.0%} of the time), `throttled` (clocks held back {THROTTLED_RATIO:.0%} of the
time by heat or by the power cap), `kv_capacity` and `queue` (requests waited
{SATURATED_RATIO:.0%} of the time), then what GPUs did most: `memory_bandwidth` or `compute`;
without their activity the word of the performance model. GPUs that work without a serving
engine are `unknown_workload`, not idle.

## Cost lines

GPU-hours: total is the time a GPU was observed, allocated the time a serving process held it,
active the time requests ran on it, effective the allocated time weighted by tokens over the
attainable. Cost is GPU-hours times the price of their day; the idle part is the time no
request ran and the time no process held the GPU. `$/1M tokens` and `J/token` are output tokens
of all time allocated. Two processes on one GPU share its hours. Instances and unallocated time
sum to their node, nodes to the fleet. A GPU without a price has no cost, and its tokens do not
enter a rate in dollars. `mean_power_w` is of all the target's GPUs together.
"""


def document() -> str:
    """docs/scores.md."""
    limits = "".join(
        f"| {name} | {p.ttft_p95_s:g} s | {p.tpot_p95_s:g} s |\n" for name, p in PROFILES.items()
    )
    return _DOCS + "".join(_dimension(name) for name in DIMENSIONS) + _LIMITS + limits + _DIAGNOSES


def _dimension(name: str) -> str:
    head = (
        "| indicator | what it is | 0 points | 100 points | weight | critical |\n"
        "|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| `{kind.id}` | {kind.title} | {kind.worst:g} | {kind.best:g} "
        f"| {SCORING.indicators[kind.id].weight:g} "
        f"| {'yes' if SCORING.indicators[kind.id].critical else ''} |\n"
        for kind in KINDS
        if kind.id.startswith(f"{name}.")
    ]
    weight = SCORING.dimensions[name]
    return f"## {_TITLES[name]} (weight {weight:g})\n\n{head}{''.join(rows)}\n"
