"""What input, cached and output tokens cost: one cost split by weights, parts sum to the whole.

Weights 1, 0.1 and 4 are a convention close to list prices of input, cached input and output tokens;
they are defaults to be replaced, not measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

MILLION = 1e6


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """What a token of each kind weighs against an uncached input token."""

    input: float = 1.0
    cached: float = 0.1
    output: float = 4.0


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """USD a million tokens of each kind."""

    input: float
    cached: float
    output: float


def split(
    cost_usd: float,
    *,
    input_tokens: float,
    cached_tokens: float,
    output_tokens: float,
    weights: TokenWeights | None = None,
) -> TokenPrices | None:
    """Prices of the three kinds that together make `cost_usd`; None where there were no tokens.

    `input_tokens` are the uncached ones.
    """
    w = weights or TokenWeights()
    weighed = w.input * input_tokens + w.cached * cached_tokens + w.output * output_tokens
    if weighed <= 0:
        return None
    unit = cost_usd / weighed * MILLION
    return TokenPrices(input=w.input * unit, cached=w.cached * unit, output=w.output * unit)


def usd_per_million(cost_usd: float | None, tokens: float | None) -> float | None:
    """USD a million tokens; None where there is no cost or there are no tokens."""
    if cost_usd is None or not tokens:
        return None
    return cost_usd / tokens * MILLION
