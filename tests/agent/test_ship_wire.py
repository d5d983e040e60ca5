"""What leaves the node is OTLP as the wire contract has it, read back by OpenTelemetry's own types."""

from __future__ import annotations

import math

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from agent.ship import Resource, encode
from agent.vocabulary import Histogram, attributes
from agent.window import Point, Subject, Window

START_S, END_S, ORIGIN_S = 1_763_900_040.0, 1_763_900_100.0, 1_763_800_000.5
RESOURCE = Resource("host-1", "gpu-node-1", "e" * 32, "0.1.0")
GPU = Subject("gpu", "GPU-aa")
INSTANCE = Subject("instance", "host-1:8000")


def _window(subject: Subject, source: str, *points: Point) -> Window:
    return Window(subject, source, START_S, END_S, points)


def _sent(*windows: Window, sequence: int = 7) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(encode(RESOURCE, sequence, windows))
    return request


def _pairs(listed: list[KeyValue]) -> dict[str, str | int | float]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in listed
    }


def _metrics(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    (resource,) = request.resource_metrics
    return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def test_a_batch_names_its_host_epoch_sequence_and_length() -> None:
    request = _sent(_window(GPU, "nvml", Point("hw.power", (), 300.0)))
    assert _pairs(list(request.resource_metrics[0].resource.attributes)) == {
        "service.name": "joulewise-agent",
        "service.version": "0.1.0",
        "service.instance.id": "e" * 32,
        "host.id": "host-1",
        "host.name": "gpu-node-1",
        "joulewise.batch.sequence": 7,
        "joulewise.window.duration": 60.0,
    }


def test_every_source_is_a_scope_of_its_own() -> None:
    power = Point("hw.power", (), 300.0)
    request = _sent(
        _window(GPU, "nvml", power),
        _window(GPU, "dcgm", power),
        _window(Subject("gpu", "GPU-bb"), "nvml", power),
    )
    scopes = request.resource_metrics[0].scope_metrics
    assert [scope.scope.name for scope in scopes] == ["joulewise.dcgm", "joulewise.nvml"]
    assert [len(scope.metrics[0].gauge.data_points) for scope in scopes] == [1, 2]


def test_a_counter_is_a_cumulative_sum_since_its_origin() -> None:
    point = Point("hw.energy", attributes({"hw.type": "gpu"}), 1234.5, ORIGIN_S)
    metric = _metrics(_sent(_window(GPU, "nvml", point)))["hw.energy"]
    (sent,) = metric.sum.data_points
    assert metric.unit == "J"
    assert metric.sum.is_monotonic
    assert (
        metric.sum.aggregation_temporality
        == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    assert (sent.start_time_unix_nano, sent.time_unix_nano) == (
        1_763_800_000_500_000_000,
        1_763_900_100_000_000_000,
    )
    assert sent.as_double == 1234.5
    assert _pairs(list(sent.attributes)) == {"hw.type": "gpu", "hw.id": "GPU-aa"}


def test_an_unknown_origin_is_sent_as_unknown() -> None:
    metric = _metrics(_sent(_window(GPU, "nvml", Point("hw.energy", (), 1.0))))["hw.energy"]
    assert metric.sum.data_points[0].start_time_unix_nano == 0


def test_levels_and_descriptions_are_gauges() -> None:
    info = Point("joulewise.instance.info", attributes({"joulewise.model": "m"}), 1.0)
    level = Point("joulewise.engine.kv_cache.capacity", (), 4096.0)
    metrics = _metrics(_sent(_window(INSTANCE, "vllm", info, level)))
    sent = metrics["joulewise.instance.info"].gauge.data_points[0]
    assert _pairs(list(sent.attributes)) == {
        "joulewise.model": "m",
        "joulewise.instance.id": "host-1:8000",
    }
    assert metrics["joulewise.engine.kv_cache.capacity"].gauge.data_points[0].as_double == 4096.0


def test_a_histogram_is_sent_with_the_count_of_each_bucket() -> None:
    value = Histogram(((0.1, 2.0), (0.5, 5.0), (math.inf, 6.0)), sum=1.75, count=6.0)
    point = Point("gen_ai.server.time_to_first_token", (), value, ORIGIN_S)
    metric = _metrics(_sent(_window(INSTANCE, "vllm", point)))["gen_ai.server.time_to_first_token"]
    (sent,) = metric.histogram.data_points
    assert list(sent.explicit_bounds) == [0.1, 0.5]
    assert list(sent.bucket_counts) == [2, 3, 1]
    assert (sent.count, sent.sum) == (6, 1.75)
    assert sent.start_time_unix_nano == 1_763_800_000_500_000_000
    assert not sent.HasField("min")
    assert not sent.HasField("max")


def test_what_is_not_finite_is_absent() -> None:
    broken = Histogram(((0.1, 1.0), (math.inf, math.nan)), sum=1.0, count=2.0)
    cut = Histogram(((0.1, 1.0), (0.5, 2.0)), sum=1.0, count=2.0)
    request = _sent(
        _window(
            INSTANCE,
            "vllm",
            Point("joulewise.engine.kv_cache.capacity", (), math.nan),
            Point("joulewise.engine.preemptions", (), math.inf, ORIGIN_S),
            Point("joulewise.engine.queue.duration", (), broken, ORIGIN_S),
            Point("joulewise.engine.inter_token.duration", (), cut, ORIGIN_S),
        )
    )
    assert _metrics(request) == {}


def test_a_histogram_with_impossible_counts_is_absent_and_costs_nothing_else() -> None:
    name = "joulewise.engine.queue.duration"
    for counts in ((1e25, 2e25), (-1.0, 2.0)):
        histogram = Histogram(((1.0, counts[0]), (math.inf, counts[1])), 3.0, counts[1])
        points = Point(name, (), histogram), Point("joulewise.engine.observed_time", (), 60.0)
        assert set(_metrics(_sent(_window(INSTANCE, "vllm", *points)))) == {
            "joulewise.engine.observed_time"
        }


def test_half_a_character_in_a_name_costs_that_character_alone() -> None:
    point = Point(
        "joulewise.engine.preemptions", (("gen_ai.request.model", "a\udc80b\u00e9"),), 1.0
    )
    metric = _metrics(_sent(_window(INSTANCE, "vllm", point)))["joulewise.engine.preemptions"]
    assert _pairs(list(metric.sum.data_points[0].attributes))["gen_ai.request.model"] == "a?b\u00e9"
