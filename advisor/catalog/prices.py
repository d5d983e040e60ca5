"""What a GPU-hour costs on a day: list prices with source and date, and the guards of a new one.

Prices are on-demand medians over clouds, seeds and not quotes; an owner's own price replaces them.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files

HIGHEST_RATIO = 5.0
"""A price above this multiple of the GPU's median, or below its inverse, is taken for an error."""


class PriceError(ValueError):
    """A price that cannot be right: zero, negative, or far from what the GPU costs elsewhere."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD a GPU-hour from `effective_from` on; `lowest` and `highest` bound the rows behind it."""

    gpu_id: str
    usd_per_gpu_hour: float
    effective_from: date
    as_of: date
    source: str
    lowest: float | None = None
    highest: float | None = None

    @property
    def label(self) -> str:
        """The row as a coefficient: what it says, from where, as of when."""
        return f"{self.gpu_id} {self.usd_per_gpu_hour:g} USD/GPU-hour, {self.source}, {self.as_of}"


def _read() -> tuple[Price, ...]:
    text = (files("advisor.catalog") / "data" / "prices.csv").read_text(encoding="utf-8")
    return tuple(
        Price(
            gpu_id=row["gpu"],
            usd_per_gpu_hour=float(row["usd_per_gpu_hour"]),
            effective_from=date.fromisoformat(row["effective_from"]),
            as_of=date.fromisoformat(row["as_of"]),
            source=row["source"],
            lowest=float(row["lowest"]),
            highest=float(row["highest"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


PRICES: tuple[Price, ...] = _read()
"""The shipped table: on-demand USD a GPU-hour of the catalog's GPUs."""


def price(gpu_id: str, at: date | datetime, prices: Iterable[Price] = PRICES) -> Price | None:
    """The price in force for `gpu_id` on the day of `at`; None where no row covers that day."""
    day = at.date() if isinstance(at, datetime) else at
    rows = [p for p in prices if p.gpu_id == gpu_id and p.effective_from <= day]
    return max(rows, key=lambda p: p.effective_from, default=None)


def with_prices(own: Iterable[Price], book: Iterable[Price] = PRICES) -> tuple[Price, ...]:
    """The book with an owner's own rows, which win from their day on.

    Raises PriceError where a row is not positive or beyond HIGHEST_RATIO of the book's median.
    """
    kept = tuple(book)
    rows = tuple(own)
    for row in rows:
        _check(row, kept)
    first = {
        row.gpu_id: min(r.effective_from for r in rows if r.gpu_id == row.gpu_id) for row in rows
    }
    before = (p for p in kept if p.gpu_id not in first or p.effective_from < first[p.gpu_id])
    return (*before, *rows)


def _check(row: Price, book: tuple[Price, ...]) -> None:
    where = f"price of {row.gpu_id} from {row.effective_from} ({row.source})"
    if not row.usd_per_gpu_hour > 0:
        raise PriceError(
            f"{where} is {row.usd_per_gpu_hour:g} USD: give a price above 0 or leave it out"
        )
    known = [p.usd_per_gpu_hour for p in book if p.gpu_id == row.gpu_id]
    if not known:
        return
    ratio = row.usd_per_gpu_hour / statistics.median(known)
    if not 1 / HIGHEST_RATIO <= ratio <= HIGHEST_RATIO:
        raise PriceError(
            f"{where} is {row.usd_per_gpu_hour:g} USD, {ratio:.2g} times the median of the table: "
            "check whether it is meant for one GPU and one hour"
        )
