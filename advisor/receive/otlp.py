"""OTLP metrics of a node agent become fragments; what cannot be kept is counted with its reason.

The walk touches each attribute once and builds no dictionary a point: stores are filled by it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from google.protobuf.message import (  # type: ignore[import-untyped]  # has no stubs
    DecodeError as ProtobufDecodeError,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Metric,
    ResourceMetrics,
)

from advisor.errors import DecodeError
from advisor.store.columns import (
    PARTS,
    PLACES,
    REPEATED_RANKS,
    SUBJECT_ATTRIBUTE,
    Column,
    Place,
    histogram_origin,
)
from advisor.store.windows import Fragment

NO_RECORDED_VALUE = 1
"""DataPointFlags: the point says that there is no value."""

_REQUIRED = (
    "host.id",
    "service.instance.id",
    "joulewise.batch.sequence",
    "joulewise.window.duration",
)
_SCOPE_PREFIX = "joulewise."
_NANOSECONDS = 1e9
_LONGEST_WINDOW_S = 7 * 86_400.0
_LARGEST_SEQUENCE = 2**63 - 1


@dataclass(frozen=True)
class Decoded:
    """The fragments of a request and the data points that were not kept, with why."""

    fragments: tuple[Fragment, ...]
    rejected: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a resource says of its batch."""

    host_id: str
    epoch: str
    sequence: int
    duration_s: float
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class _Draft:
    """A fragment while its points arrive; `ranks` counts what was added to a mean."""

    end_s: float = 0.0
    values: dict[str, float] = field(default_factory=dict)
    origins: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, tuple[tuple[float, ...], tuple[float, ...], float]] = field(
        default_factory=dict
    )
    info: dict[str, str] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)


DraftKey = tuple[str, str, str]
"""(kind, subject, source)."""


def decode(body: bytes) -> Decoded:
    """Read an ExportMetricsServiceRequest.

    Raises:
        DecodeError: the body is not such a message, or a resource lacks an attribute.
    """
    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except ProtobufDecodeError as error:
        raise DecodeError(
            f"cannot read the request body ({len(body)} bytes) as OTLP metrics: {error}. "
            "Send an ExportMetricsServiceRequest as binary protobuf."
        ) from error
    fragments: list[Fragment] = []
    reasons: Counter[str] = Counter()
    for resource_metrics in request.resource_metrics:
        fragments += _Walk(_batch(resource_metrics), reasons).fragments(resource_metrics)
    return Decoded(tuple(fragments), sum(reasons.values()), dict(reasons))


def _attribute_value(value: Any) -> Any:
    which = value.WhichOneof("value")
    return getattr(value, which) if which else None


def _text(value: Any) -> str:
    """An attribute as the vocabulary has it: strings, numbers in decimal."""
    return value.string_value or str(_attribute_value(value) or "")


def _batch(resource_metrics: ResourceMetrics) -> _Batch:
    said = {a.key: _attribute_value(a.value) for a in resource_metrics.resource.attributes}
    missing = [name for name in _REQUIRED if said.get(name) in {None, ""}]
    if missing:
        raise DecodeError(
            f"a resource lacks {', '.join(missing)}: its windows cannot be told apart. "
            "Send from joulewise-agent, or set these resource attributes."
        )
    try:
        return _Batch(
            str(said["host.id"]),
            str(said["service.instance.id"]),
            _sequence(int(said["joulewise.batch.sequence"])),
            _duration(float(said["joulewise.window.duration"])),
            said,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise DecodeError(f"a resource attribute of the batch cannot be used: {error}") from error


def _sequence(number: int) -> int:
    if not 0 <= number <= _LARGEST_SEQUENCE:
        raise ValueError(f"joulewise.batch.sequence is {number}, not from 0 to 2^63 - 1")
    return number


def _duration(seconds: float) -> float:
    if not 0 < seconds <= _LONGEST_WINDOW_S:
        raise ValueError(f"joulewise.window.duration is {seconds}, not a time above 0 s up to 7 d")
    return seconds


class _Walk:
    """One resource's scopes, metrics and points, gathered into drafts."""

    def __init__(self, batch: _Batch, reasons: Counter[str]) -> None:
        self._batch = batch
        self._reasons = reasons
        self._drafts: dict[DraftKey, _Draft] = {}
        self._own_subject = {"node": batch.host_id, "agent": batch.epoch}

    def fragments(self, resource_metrics: ResourceMetrics) -> Iterable[Fragment]:
        """The resource's fragments, with one for the agent that sent it."""
        for scope in resource_metrics.scope_metrics:
            source = scope.scope.name.removeprefix(_SCOPE_PREFIX)
            for metric in scope.metrics:
                self._metric(metric, source)
        self._sender()
        return [self._finished(key, draft) for key, draft in self._drafts.items()]

    def _sender(self) -> None:
        """The agent's own description, so that a node is known by its first batch."""
        ends = [draft.end_s for draft in self._drafts.values()]
        if ends:
            draft = self._draft("agent", self._batch.epoch, "resource", max(ends))
            names = ("host.name", "service.version")
            said = self._batch.attributes
            draft.info.update({name: str(said[name]) for name in names if said.get(name)})

    def _metric(self, metric: Metric, source: str) -> None:
        which = metric.WhichOneof("data")
        place = PLACES.get(metric.name)
        points = getattr(metric, which).data_points if which else ()
        if place is None:
            self._reject(f"unknown metric {metric.name[:100]}", len(points))
        elif which == "histogram" and place.histogram:
            if self._is_cumulative(metric, metric.histogram):
                for point in points:
                    self._histogram(point, place, source)
        elif which == "sum" and place.histogram is None and not place.info:
            if self._is_cumulative(metric, metric.sum):
                for point in points:
                    self._number(point, place, source, counter=True)
        elif which == "gauge" and place.histogram is None:
            for point in points:
                self._number(point, place, source, counter=False)
        else:
            self._reject(f"{metric.name} sent as {which}", len(points))

    def _is_cumulative(self, metric: Metric, data: Any) -> bool:
        cumulative: bool = data.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        if not cumulative:
            self._reject(f"{metric.name} is not cumulative", len(data.data_points))
        return cumulative

    def _number(self, point: Any, place: Place, source: str, *, counter: bool) -> None:
        if place.info:
            self._info(point, place, source)
            return
        found = self._locate(point, place, source)
        if found is None:
            return
        draft, column = found
        if column is None:
            return
        if column.cumulative is not counter:
            self._reject(f"{column.name} sent as {'sum' if counter else 'gauge'}")
            return
        value = point.as_double if point.HasField("as_double") else float(point.as_int)
        if not math.isfinite(value):
            self._reject("not a finite number")
            return
        if counter:
            origin = point.start_time_unix_nano / _NANOSECONDS
            draft.origins[column.name] = max(origin, draft.origins.get(column.name, origin))
        _merge(draft, column, value)

    def _locate(self, point: Any, place: Place, source: str) -> tuple[_Draft, Column | None] | None:
        """The draft and column of a point; None for what is not kept, after counting a fault."""
        subject_key = SUBJECT_ATTRIBUTE.get(place.kind)
        subject = self._own_subject.get(place.kind, "")
        values = [""] * len(place.by)
        for attribute in point.attributes:
            key = attribute.key
            if key == subject_key:
                subject = _text(attribute.value)
            elif key in place.by:
                values[place.by.index(key)] = _text(attribute.value)
            elif key == place.splits:
                source = _text(attribute.value)
            elif key in PARTS or (
                key in REPEATED_RANKS and _text(attribute.value) not in {"", "0"}
            ):
                return None
        if not self._is_usable(point, place, subject):
            return None
        column = place.columns.get(tuple(values), place.other)
        end_s = point.time_unix_nano / _NANOSECONDS
        return self._draft(place.kind, subject, source, end_s), column

    def _is_usable(self, point: Any, place: Place, subject: str) -> bool:
        if point.flags & NO_RECORDED_VALUE:
            return False
        if not subject:
            self._reject(f"no {SUBJECT_ATTRIBUTE.get(place.kind)}")
            return False
        if not point.time_unix_nano:
            self._reject("no time")
            return False
        return True

    def _info(self, point: Any, place: Place, source: str) -> None:
        subject_key = SUBJECT_ATTRIBUTE.get(place.kind)
        said = {a.key: _text(a.value) for a in point.attributes}
        subject = said.pop(subject_key, "") if subject_key else self._own_subject[place.kind]
        if self._is_usable(point, place, subject):
            end_s = point.time_unix_nano / _NANOSECONDS
            draft = self._draft(place.kind, subject, source, end_s)
            draft.info.update({key: value for key, value in said.items() if value})

    def _histogram(self, point: Any, place: Place, source: str) -> None:
        found = self._locate(point, place, source)
        name = place.histogram
        if found is None or name is None:
            return
        draft = found[0]
        bounds, counts = (*point.explicit_bounds, math.inf), tuple(accumulate(point.bucket_counts))
        if len(bounds) != len(counts) or not math.isfinite(point.sum):
            self._reject("a histogram without a count for each bucket or without a finite sum")
            return
        if not all(low < high for low, high in pairwise(bounds)):
            self._reject("a histogram whose bounds do not rise")
            return
        total = point.sum
        held = draft.histograms.get(name)
        if held is not None:
            if held[0] != bounds:
                self._reject("a histogram whose ranks differ in their buckets")
                return
            counts = tuple(a + b for a, b in zip(held[1], counts, strict=True))
            total += held[2]
        draft.histograms[name] = (bounds, tuple(map(float, counts)), total)
        origin, key = point.start_time_unix_nano / _NANOSECONDS, histogram_origin(name)
        draft.origins[key] = max(origin, draft.origins.get(key, origin))

    def _draft(self, kind: str, subject: str, source: str, end_s: float) -> _Draft:
        key = (kind, subject, source)
        draft = self._drafts.get(key)
        if draft is None:
            draft = self._drafts[key] = _Draft()
        draft.end_s = max(draft.end_s, end_s)
        return draft

    def _reject(self, reason: str, points: int = 1) -> None:
        if points:
            self._reasons[reason] += points

    def _finished(self, key: DraftKey, draft: _Draft) -> Fragment:
        kind, subject, source = key
        for name, ranks in draft.ranks.items():
            draft.values[name] /= ranks
        batch = self._batch
        return Fragment(
            kind=kind,
            host_id=batch.host_id,
            subject_id=subject,
            epoch=batch.epoch,
            sequence=batch.sequence,
            source=source,
            start_s=draft.end_s - batch.duration_s,
            end_s=draft.end_s,
            values=draft.values,
            origins=draft.origins,
            histograms=draft.histograms,
            info=draft.info or None,
        )


def _merge(draft: _Draft, column: Column, value: float) -> None:
    """Join a value with those of other ranks or reasons that share its column."""
    name = column.name
    held = draft.values.get(name)
    if column.merge == "max":
        draft.values[name] = value if held is None else max(held, value)
        return
    draft.values[name] = value if held is None else held + value
    if column.merge == "mean":
        draft.ranks[name] = draft.ranks.get(name, 0) + 1
