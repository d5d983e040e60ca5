"""Windows as OTLP bytes, through OpenTelemetry's metric data classes with times of our own.

Its instruments are not used: they stamp their own time and cannot carry an engine's histogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agent.vocabulary import SIGNALS, Histogram
from agent.window import Point, Subject, Window

LARGEST_COUNT = 2**63
"""Above, a count is no count: OTLP has 64 bits, and a page that says more is broken."""
_SUBJECT_ATTRIBUTE = {"gpu": "hw.id", "instance": "joulewise.instance.id"}


@dataclass(frozen=True, slots=True)
class Resource:
    """Who speaks: a host, and the spool's epoch that numbers its batches."""

    host_id: str
    host_name: str
    epoch: str
    version: str


def encode(resource: Resource, sequence: int, windows: Sequence[Window]) -> bytes:
    """An `ExportMetricsServiceRequest` of windows that were closed together.

    One scope a source, one metric a signal, the window's end as the time of every point. A value
    that is not finite is absence and is left out.
    """
    start_s = min(window.start_s for window in windows)
    end_s = max(window.end_s for window in windows)
    attributes: dict[str, str | int | float] = {
        "service.name": "joulewise-agent",
        "service.version": resource.version,
        "service.instance.id": resource.epoch,
        "host.id": _encodable(resource.host_id),
        "host.name": _encodable(resource.host_name),
        "joulewise.batch.sequence": sequence,
        "joulewise.window.duration": float(end_s - start_s),
    }
    by_source = sorted(windows, key=attrgetter("source"))
    scopes = [_scope(source, group) for source, group in groupby(by_source, attrgetter("source"))]
    data = MetricsData([ResourceMetrics(SdkResource(attributes), scopes, "")])
    message: bytes = encode_metrics(data).SerializeToString()
    return message


def _scope(source: str, windows: Iterable[Window]) -> ScopeMetrics:
    points: dict[str, list[NumberDataPoint]] = {}
    histograms: dict[str, list[HistogramDataPoint]] = {}
    for window in windows:
        end_ns = _nanoseconds(window.end_s)
        for point in window.points:
            attributes = _attributes(window.subject, point)
            if isinstance(point.value, Histogram):
                if encoded := _histogram_point(point, point.value, attributes, end_ns):
                    histograms.setdefault(point.signal, []).append(encoded)
            elif math.isfinite(point.value):
                number = NumberDataPoint(
                    attributes, _nanoseconds(point.origin_s), end_ns, float(point.value), ()
                )
                points.setdefault(point.signal, []).append(number)
    metrics = [*_numbers(points), *_histograms(histograms)]
    return ScopeMetrics(InstrumentationScope(f"joulewise.{source}"), metrics, "")


def _attributes(subject: Subject, point: Point) -> dict[str, str]:
    attributes = {name: _encodable(text) for name, text in point.attributes}
    if name := _SUBJECT_ATTRIBUTE.get(subject.kind):
        attributes.setdefault(name, _encodable(subject.id))
    return attributes


def _numbers(points: Mapping[str, Sequence[NumberDataPoint]]) -> Iterator[Metric]:
    for name, numbers in points.items():
        signal = SIGNALS[name]
        data: Sum | Gauge = Gauge(numbers)
        if signal.kind == "counter":
            data = Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        yield Metric(name, None, signal.unit, data)


def _histograms(points: Mapping[str, Sequence[HistogramDataPoint]]) -> Iterator[Metric]:
    for name, histograms in points.items():
        data = HistogramData(histograms, AggregationTemporality.CUMULATIVE)
        yield Metric(name, None, SIGNALS[name].unit, data)


def _histogram_point(
    point: Point, histogram: Histogram, attributes: dict[str, str], end_ns: int
) -> HistogramDataPoint | None:
    """OTLP counts each bucket by itself, ours count all at or below a bound."""
    cumulative = [count for _, count in histogram.buckets]
    complete = bool(histogram.buckets) and histogram.buckets[-1][0] == math.inf
    if not complete or not math.isfinite(histogram.sum):
        return None
    if not all(0.0 <= count < LARGEST_COUNT for count in cumulative):
        return None
    counts = [
        max(0, round(count - below))
        for below, count in zip((0.0, *cumulative), cumulative, strict=False)
    ]
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=_nanoseconds(point.origin_s),
        time_unix_nano=end_ns,
        count=sum(counts),
        sum=histogram.sum,
        bucket_counts=counts,
        explicit_bounds=[bound for bound, _ in histogram.buckets[:-1]],
        min=None,  # type: ignore[arg-type]  # optional on the wire; cumulative buckets know no extremes
        max=None,  # type: ignore[arg-type]
        exemplars=(),
    )


def _encodable(text: str) -> str:
    """The text; half a character, as broken names may hold, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _nanoseconds(time_s: float | None) -> int:
    """Unix nanoseconds; 0, which OTLP reads as unknown, where there is no origin."""
    return 0 if time_s is None else round(time_s * 1e9)
