"""The column table is closed: every shipped signal has a place, every summary column a source."""

from __future__ import annotations

import pytest

from advisor.store.columns import COLUMNS, HISTOGRAM_NAMES, PLACES
from advisor.summary import GPU_COLUMNS, HISTOGRAMS, INSTANCE_COLUMNS
from agent.vocabulary import SIGNALS

DERIVED = {"requests", "gpu_energy_j", "gpu_observed_s", "gpu_count"}
"""Summary columns that are made of others."""


@pytest.mark.parametrize("signal", [s for s in SIGNALS.values() if s.shipped], ids=lambda s: s.name)
def test_every_shipped_signal_has_a_place_of_its_kind(signal) -> None:
    place = PLACES[signal.name]
    assert place.kind == signal.subject
    assert place.info == (signal.kind == "info")
    assert (place.histogram is not None) == (signal.kind == "histogram")
    if signal.kind in {"counter", "gauge"}:
        columns = [*place.columns.values(), *([place.other] if place.other else [])]
        assert columns
        assert all(column.cumulative == (signal.kind == "counter") for column in columns)


def test_no_signal_is_placed_that_is_not_shipped() -> None:
    assert set(PLACES) == {signal.name for signal in SIGNALS.values() if signal.shipped}


def test_every_attribute_looked_at_is_in_the_vocabulary() -> None:
    for name, place in PLACES.items():
        known = {*SIGNALS[name].attributes, "joulewise.derived"}
        assert set(place.by) <= known


def test_every_summary_column_has_a_source() -> None:
    assert set(INSTANCE_COLUMNS) - DERIVED <= set(COLUMNS["instance"])
    assert set(GPU_COLUMNS) <= set(COLUMNS["gpu"])
    assert set(HISTOGRAMS) <= set(HISTOGRAM_NAMES.values())
