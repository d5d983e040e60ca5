"""The embedded store: what was appended is there once, and deltas stay within an origin."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import StoreError
from advisor.store.columns import histogram_origin
from advisor.store.windows import Fragment
from advisor.store.windows_duckdb import DuckDbWindows

T0 = datetime(2026, 11, 16, tzinfo=UTC).timestamp()
BORN = T0 - 5000.0
INFINITY = math.inf


@pytest.fixture
def store(tmp_path: Path):
    found = DuckDbWindows(tmp_path / "telemetry.duckdb")
    yield found
    found.close()


def fragment(
    end_s: float,
    values: dict[str, float],
    *,
    kind: str = "gpu",
    subject: str = "GPU-1",
    sequence: int | None = None,
    source: str = "nvml",
    length_s: float = 900.0,
    origin_s: float = BORN,
    levels: dict[str, float] | None = None,
    histograms: dict[str, tuple] | None = None,
    info: dict[str, str] | None = None,
    epoch: str = "e1",
    host: str = "host-1",
) -> Fragment:
    origins = dict.fromkeys(values, origin_s)
    origins |= {histogram_origin(name): origin_s for name in histograms or {}}
    return Fragment(
        kind=kind,
        host_id=host,
        subject_id=subject,
        epoch=epoch,
        sequence=round(end_s) if sequence is None else sequence,
        source=source,
        start_s=end_s - length_s,
        end_s=end_s,
        values={**values, **(levels or {})},
        origins=origins,
        histograms=histograms or {},
        info=info,
    )


def gpu_column(store: DuckDbWindows, name: str, hours: int = 3) -> list[float]:
    found = store.gpu_hours(at(0), at(hours * 3600))
    return [float(value) for value in found.columns[name]]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(T0 + seconds, UTC)


def test_a_known_key_is_a_no_op(store: DuckDbWindows) -> None:
    first = fragment(T0 + 900, {"energy_j": 10.0})
    assert store.append([first, first]) == 1
    assert store.append([first]) == 0


def test_a_known_key_stays_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    fragments = [fragment(T0 + 900 * n, {"energy_j": 10.0 * n}, sequence=n) for n in (1, 2, 4)]
    store = DuckDbWindows(path)
    store.append(fragments)
    store.close()
    again = DuckDbWindows(path)
    assert again.append(fragments) == 0
    assert again.append([fragment(T0 + 2700, {"energy_j": 30.0}, sequence=3)]) == 1
    again.close()


def test_fragments_in_the_journal_survive_a_store_that_was_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    store = DuckDbWindows(path)
    store.append([fragment(T0 + 900, {"energy_j": 1.0}), fragment(T0 + 1800, {"energy_j": 5.0})])
    store._database.close()  # the process ends here: what waits was never made rows
    again = DuckDbWindows(path)
    assert again.append([fragment(T0 + 900, {"energy_j": 1.0})]) == 0
    assert gpu_column(again, "energy_j") == [4.0]
    again.close()


def test_energy_is_the_difference_of_end_values_whatever_the_order(store: DuckDbWindows) -> None:
    ends = [fragment(T0 + 900 * n, {"energy_j": 100.0 * n * n}) for n in (3, 1, 4, 2)]
    for one in ends:
        store.append([one])
    assert gpu_column(store, "energy_j") == [1500.0]


def test_a_window_that_ends_on_the_hour_belongs_to_the_hour_before(store: DuckDbWindows) -> None:
    store.append([fragment(T0 + 900 * n, {"energy_j": 10.0 * n}) for n in range(9)])
    found = store.gpu_hours(at(0), at(7200))
    assert list(found.hour) == [np.datetime64(int(T0), "s"), np.datetime64(int(T0) + 3600, "s")]
    assert list(found.columns["energy_j"]) == [40.0, 40.0]


def test_a_lost_window_loses_no_energy_and_no_time(store: DuckDbWindows) -> None:
    store.append([fragment(T0 + 900 * n, {"energy_j": 10.0 * n}) for n in (0, 1, 4)])
    assert gpu_column(store, "energy_j") == [40.0]
    assert gpu_column(store, "power_observed_s") == [3600.0]


def test_a_new_origin_inside_the_window_counts_from_it(store: DuckDbWindows) -> None:
    store.append(
        [
            fragment(T0 + 900, {"energy_j": 1000.0}),
            fragment(T0 + 1800, {"energy_j": 1100.0}),
            fragment(T0 + 2700, {"energy_j": 7.0}, origin_s=T0 + 2000),
        ]
    )
    assert gpu_column(store, "energy_j") == [107.0]


def test_an_origin_older_than_what_was_seen_gives_no_delta(store: DuckDbWindows) -> None:
    store.append(
        [
            fragment(T0 + 900, {"energy_j": 1000.0}),
            fragment(T0 + 1800, {"energy_j": 5000.0}, origin_s=BORN - 100_000),
        ]
    )
    assert math.isnan(gpu_column(store, "energy_j")[0])


def test_a_counter_that_went_back_is_absent_not_negative(store: DuckDbWindows) -> None:
    store.append(
        [fragment(T0 + 900 * n, {"energy_j": v}) for n, v in ((1, 50.0), (2, 40.0), (3, 45.0))]
    )
    assert gpu_column(store, "energy_j") == [5.0]


def test_sources_of_one_window_fill_each_other_in(store: DuckDbWindows) -> None:
    for n in (1, 2):
        store.append([fragment(T0 + 900 * n, {"energy_j": 10.0 * n}, source="nvml")])
        dcgm = {"energy_j": 1000.0 * n, "sm_active_s": 300.0 * n, "activity_observed_s": 900.0 * n}
        store.append([fragment(T0 + 900 * n, dcgm, source="dcgm")])
    assert gpu_column(store, "energy_j") == [10.0]
    assert gpu_column(store, "sm_active_s") == [300.0]


def test_levels_are_weighted_by_time(store: DuckDbWindows) -> None:
    long = fragment(T0 + 2700, {}, levels={"utilization": 1.0}, length_s=2700)
    short = fragment(T0 + 3600, {}, levels={"utilization": 0.0}, length_s=900)
    store.append([long, short])
    assert gpu_column(store, "utilization") == [0.75]


def test_energy_without_a_counter_is_what_the_agent_integrated(store: DuckDbWindows) -> None:
    store.append(
        [
            fragment(T0 + 900 * n, {"energy_derived_j": 9.0 * n, "power_observed_s": 850.0 * n})
            for n in (1, 2)
        ]
    )
    assert gpu_column(store, "energy_j") == [9.0]
    assert gpu_column(store, "power_observed_s") == [850.0]


def test_what_was_never_seen_is_nan(store: DuckDbWindows) -> None:
    store.append([fragment(T0 + 900, {"energy_j": 1.0})])
    assert math.isnan(gpu_column(store, "temperature_celsius")[0])


CONFIGURATION = {
    "joulewise.engine.name": "vllm",
    "joulewise.model": "m",
    "joulewise.gpu.ids": "GPU-1,GPU-2",
    "joulewise.config.digest": "d1",
    "joulewise.max_sequences": "256",
    "joulewise.tiers": "model=endpoint,gpu.ids=argv",
}


def serving(n: int, tokens: float, *, subject: str = "i1", **kwargs) -> Fragment:
    values = {"output_tokens": tokens, "observed_s": 900.0 * n}
    info = kwargs.pop("info", CONFIGURATION)
    return fragment(
        T0 + 900 * n, values, kind="instance", subject=subject, source="vllm", info=info, **kwargs
    )


def test_an_instance_gets_the_energy_of_its_gpus(store: DuckDbWindows) -> None:
    for n in range(5):
        store.append([fragment(T0 + 900 * n, {"energy_j": 10.0 * n}, subject="GPU-1")])
        store.append([fragment(T0 + 900 * n, {"energy_j": 30.0 * n}, subject="GPU-2")])
        store.append([fragment(T0 + 900 * n, {"energy_j": 90.0 * n}, subject="GPU-3")])
        store.append([serving(n, 100.0 * n)])
    found = store.instance_hours(at(0), at(3600))
    assert list(found.columns["output_tokens"]) == [400.0]
    assert list(found.columns["gpu_energy_j"]) == [160.0]
    assert list(found.columns["gpu_observed_s"]) == [7200.0]
    assert list(found.columns["gpu_count"]) == [2.0]
    assert list(found.config_digest) == ["d1"]


def test_a_gpu_under_two_instances_is_shared_and_nothing_is_lost(store: DuckDbWindows) -> None:
    for n in range(5):
        store.append([fragment(T0 + 900 * n, {"energy_j": 10.0 * n})])
        one = {**CONFIGURATION, "joulewise.gpu.ids": "GPU-1"}
        store.append([serving(n, 1.0 * n, subject="i1", info=one)])
        store.append([serving(n, 1.0 * n, subject="i2", info=one)])
    found = store.instance_hours(at(0), at(3600))
    assert list(found.columns["gpu_energy_j"]) == [20.0, 20.0]


def test_a_change_of_configuration_is_a_row_of_its_own(store: DuckDbWindows) -> None:
    other = {**CONFIGURATION, "joulewise.config.digest": "d2"}
    store.append([serving(n, 10.0 * n) for n in (0, 1, 2)])
    store.append([serving(n, 10.0 * n, info=other) for n in (3, 4)])
    found = store.instance_hours(at(0), at(3600))
    assert list(found.config_digest) == ["d1", "d2"] or list(found.config_digest) == ["d2", "d1"]
    assert list(found.columns["output_tokens"]) == [20.0, 20.0]
    assert [one.config_digest for one in store.instances()] == ["d2"]


def test_a_window_without_configuration_keeps_the_one_before(store: DuckDbWindows) -> None:
    store.append([serving(0, 0.0), serving(1, 10.0), serving(2, 30.0, info=None)])
    found = store.instance_hours(at(0), at(3600))
    assert list(found.config_digest) == ["d1"]
    assert list(found.columns["output_tokens"]) == [30.0]


def test_an_instance_is_as_last_described(store: DuckDbWindows) -> None:
    store.append([serving(1, 1.0)])
    one = store.instances()[0]
    assert (one.id, one.engine, one.model, one.max_sequences) == ("i1", "vllm", "m", 256)
    assert one.gpu_ids == ("GPU-1", "GPU-2")
    assert one.tiers == {"model": "endpoint", "gpu.ids": "argv"}
    assert one.tensor_parallel is None
    assert one.last_seen == at(900)


BOUNDS = (0.1, 1.0, INFINITY)


def histogram(n: int, *counts: float, origin_s: float = BORN) -> Fragment:
    cumulative = tuple(float(value) for value in np.cumsum(counts))
    return fragment(
        T0 + 900 * n,
        {},
        kind="instance",
        subject="i1",
        source="vllm",
        info=CONFIGURATION,
        histograms={"ttft_s": (BOUNDS, cumulative, float(sum(counts)))},
        origin_s=origin_s,
    )


def test_an_hours_histogram_is_what_it_gained(store: DuckDbWindows) -> None:
    store.append([histogram(0, 5, 5, 5), histogram(2, 6, 8, 5), histogram(4, 7, 9, 5)])
    hour = store.instance_hours(at(0), at(3600)).histograms["ttft_s"][0]
    assert hour is not None
    assert list(hour.counts) == [2.0, 4.0, 0.0]
    assert hour.sum == 6.0
    assert list(hour.bounds) == list(BOUNDS)


def test_a_histogram_of_a_new_process_counts_from_its_start(store: DuckDbWindows) -> None:
    store.append([histogram(0, 9, 9, 9), histogram(1, 9, 9, 10)])
    store.append([histogram(2, 1, 0, 0, origin_s=T0 + 1000)])
    hour = store.instance_hours(at(0), at(3600)).histograms["ttft_s"][0]
    assert hour is not None
    assert list(hour.counts) == [1.0, 0.0, 1.0]


def test_a_chart_shows_rates_and_gaps(store: DuckDbWindows) -> None:
    store.append(
        [fragment(T0 + 60 * n, {"energy_j": 60.0 * 700 * n}, length_s=60) for n in range(4)]
    )
    series = store.series("gpu", "GPU-1", at(0), at(300), 60)
    assert len(series.time) == 5
    assert series.time[0] == np.datetime64(int(T0) + 60, "s")
    np.testing.assert_allclose(series.columns["power_w"], [700, 700, 700, np.nan, np.nan])


def test_a_long_window_fills_every_step_it_covers(store: DuckDbWindows) -> None:
    store.append([fragment(T0 + 900 * n, {"energy_j": 900.0 * 500 * n}) for n in range(3)])
    series = store.series("gpu", "GPU-1", at(0), at(1800), 300)
    np.testing.assert_allclose(series.columns["power_w"], [500.0] * 6)


def test_a_node_draws_what_its_gpus_draw(store: DuckDbWindows) -> None:
    for n in range(3):
        store.append([fragment(T0 + 60 * n, {"energy_j": 60.0 * 100 * n}, length_s=60)])
        second = fragment(T0 + 60 * n, {"energy_j": 60.0 * 50 * n}, length_s=60, subject="GPU-2")
        store.append([second])
    series = store.series("node", "host-1", at(0), at(120), 60)
    np.testing.assert_allclose(series.columns["power_w"], [150.0, 150.0])


def test_an_unknown_subject_has_an_empty_chart(store: DuckDbWindows) -> None:
    series = store.series("instance", "nobody", at(0), at(120), 60)
    assert np.isnan(series.columns["output_tokens_per_s"]).all()


def test_latency_over_time_is_a_quantile_of_each_step(store: DuckDbWindows) -> None:
    store.append([histogram(0, 0, 0, 0), histogram(1, 100, 0, 0), histogram(2, 100, 100, 0)])
    series = store.series("instance", "i1", at(0), at(1800), 900)
    np.testing.assert_allclose(series.columns["ttft_p95_s"], [0.095, 0.955])


def test_a_node_is_known_by_its_agent(store: DuckDbWindows) -> None:
    counts = {"batches_produced": 7.0, "batches_acknowledged": 5.0, "batches_dropped": 1.0}
    said = {"host.name": "gpu-box", "service.version": "0.1.0"}
    batch = {"kind": "agent", "subject": "e1"}
    store.append([fragment(T0 + 900, counts, source="agent", **batch)])
    store.append([fragment(T0 + 900, {}, source="resource", info=said, **batch)])
    node = store.nodes()[0]
    assert (node.id, node.name, node.agent_version) == ("host-1", "gpu-box", "0.1.0")
    assert (node.batches_produced, node.batches_acknowledged, node.batches_dropped) == (7, 5, 1)


def test_an_empty_store_answers_everything(store: DuckDbWindows) -> None:
    assert store.nodes() == ()
    assert store.gpus() == ()
    assert store.instances() == ()
    assert len(store.instance_hours(at(0), at(3600)).hour) == 0
    assert len(store.gpu_hours(at(0), at(3600)).hour) == 0
    assert store.range() is None


def test_a_foreign_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    path.write_bytes(b"something else entirely, and long enough to be looked at " * 100)
    with pytest.raises(StoreError, match="give another data folder"):
        DuckDbWindows(path)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.floats(0, 1e6), min_size=2, max_size=8),
    lost=st.sets(st.integers(1, 6), max_size=3),
    shuffle=st.randoms(use_true_random=False),
)
def test_no_loss_or_order_changes_what_was_counted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[float], lost: set[int], shuffle
) -> None:
    store = DuckDbWindows(tmp_path_factory.mktemp("store") / "t.duckdb", threads=1)
    ends = np.cumsum(steps)
    kept = [n for n in range(len(ends)) if n not in lost or n == len(ends) - 1]
    fragments = [fragment(T0 + 300 * (n + 1), {"energy_j": float(ends[n])}) for n in kept]
    shuffle.shuffle(fragments)
    for one in fragments:
        store.append([one])
    total = store.gpu_hours(at(0), at(3600)).columns["energy_j"]
    assert np.nansum(total) == pytest.approx(ends[-1] - ends[0], rel=1e-9, abs=1e-6)
    store.close()


def test_readers_read_while_a_writer_writes(store: DuckDbWindows) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def write(n: int) -> int:
        return store.append([fragment(T0 + 60 * n, {"energy_j": 6.0 * n}, length_s=60)])

    def read(_: int) -> float:
        return float(np.nansum(store.gpu_hours(at(0), at(7200)).columns["energy_j"]))

    with ThreadPoolExecutor(4) as pool:
        written = pool.map(write, range(61))
        seen = list(pool.map(read, range(10)))
    assert sum(written) == 61
    assert all(0 <= value <= 360 for value in seen)
    assert read(0) == pytest.approx(360.0)


def test_the_lookback_reaches_into_the_day_before(store: DuckDbWindows) -> None:
    store.append([fragment(T0 - 3600, {"energy_j": 10.0}), fragment(T0 + 900, {"energy_j": 25.0})])
    assert gpu_column(store, "energy_j") == [15.0]
    assert store.range() == (at(-3600) - timedelta(seconds=900), at(900))
