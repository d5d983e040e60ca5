"""What figures rest on is listed once."""

from __future__ import annotations

from advisor.pages.sources import sources


def test_each_price_limit_and_fit_is_one_row() -> None:
    assert sources(
        {
            "price:b200": "b200 6.345 USD/GPU-hour, median of list prices, 2026-09-25",
            "limits:search": "deployment search",
            "limits:agents": "deployment agents",
            "performance_model": "fit of 2026-11-23",
        }
    ) == (
        ("Price of B200", "6.345 USD/GPU-hour, median of list prices, 2026-09-25"),
        ("Performance model", "fit of 2026-11-23"),
        ("Latency limits", "declared for agents, search"),
    )
