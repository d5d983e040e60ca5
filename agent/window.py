"""Readings of many moments become one window of one subject; what `ship` encodes and `spool` keeps.

A window holds end values of counters with the time of their origin, integrals of levels with the
seconds they were observed, means and maxima, histograms as they stand, and counters by load.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from agent.integrals import (
    DERIVED,
    INTEGRALS,
    KV_USED,
    LIMITS,
    MAXIMA,
    OBSERVED,
    RUNNING,
    SATURATED,
    WAITING,
    held_by,
)
from agent.load import EnergyMeter, LoadCurve
from agent.ranks import merge_ranks
from agent.series import Counter, Level
from agent.vocabulary import SIGNALS, Attributes, Histogram, Reading, SubjectKind, attributes

SNAPSHOT_VERSION = 1
INFO = "joulewise.instance.info"
OUTPUT_TOKENS = ("joulewise.engine.tokens", (("joulewise.token.type", "output"),))
OWN_ATTRIBUTE = {"gpu": "hw.id", "instance": "joulewise.instance.id"}
"""The attribute that names its subject on every point."""
KINDS = {signal.name: signal.kind for signal in SIGNALS.values()}
EVENTS = frozenset({"joulewise.gpu.xid"})
"""Counters that are not there until something happens: one that appears later began when it did."""
SHIPPED = frozenset(signal.name for signal in SIGNALS.values() if signal.shipped)

Key = tuple[str, Attributes]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a window describes: a GPU by UUID, an instance or node by its id, an agent by epoch."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What one source said of one subject at one Unix time.

    `origin_s` is when the source's counters began (start of process or driver), None if unknown.
    """

    subject: Subject
    source: str
    at_s: float
    readings: tuple[Reading, ...]
    origin_s: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a window.

    `origin_s` is the Unix time a counter began at; None for levels and where it is not known.
    """

    signal: str
    attributes: Attributes
    value: float | Histogram
    origin_s: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What one source said of one subject between two Unix times."""

    subject: Subject
    source: str
    start_s: float
    end_s: float
    points: tuple[Point, ...]


class Track:
    """What one source says of one subject over time, and the points of its windows."""

    def __init__(self, subject: Subject, source: str) -> None:
        self.subject = subject
        self.source = source
        self.curve = LoadCurve() if subject.kind == "instance" else None
        self._counters: dict[Key, Counter] = {}
        self._levels: dict[Key, Level] = {}
        self._infos: dict[str, Attributes] = {}
        self._observed_s: dict[str, float] = {}
        self._sequences: float | None = None
        self._origin_s: float | None = None
        self._labels: dict[Attributes, Attributes] = {}

    def observe(
        self, at_s: float, readings: Iterable[Reading], origin_s: float | None, max_gap_s: float
    ) -> None:
        """Take one moment's readings; what is not finite or not in the vocabulary is none."""
        if self._origin_s is None:
            self._origin_s = at_s
        is_new = not (self._counters or self._levels)
        if self.curve is not None:
            readings = merge_ranks(readings)
        for reading in readings:
            kind, value = KINDS.get(reading.signal), reading.value
            if kind == "info":
                self._describe(reading)
            elif kind is None or not _is_finite(value):
                continue
            elif kind != "gauge":
                happened = reading.signal in EVENTS and not is_new
                since_s = at_s if happened else origin_s
                self._count((reading.signal, reading.attributes), value, at_s, since_s)
            elif not isinstance(value, Histogram):
                self._level((reading.signal, reading.attributes), value, at_s, max_gap_s)
        if self.curve is not None:
            self._observe_engine(self.curve, at_s, max_gap_s)

    def _count(
        self, key: Key, value: float | Histogram, at_s: float, origin_s: float | None
    ) -> None:
        counter = self._counters.get(key)
        if counter is None:
            self._counters[key] = Counter.first(value, at_s, origin_s)
        else:
            counter.observe(value, at_s, origin_s)

    def _level(self, key: Key, value: float, at_s: float, max_gap_s: float) -> None:
        level = self._levels.get(key)
        if level is None:
            self._levels[key] = Level.first(value, at_s)
        else:
            level.observe(value, at_s, max_gap_s)

    def _describe(self, reading: Reading) -> None:
        if self._infos.get(reading.signal) == reading.attributes:
            return
        self._infos[reading.signal] = reading.attributes
        if reading.signal == INFO and self.curve is not None:
            said = dict(reading.attributes)
            gpu_ids = said.get("joulewise.gpu.ids", "")
            self.curve.run_on(tuple(gpu_id for gpu_id in gpu_ids.split(",") if gpu_id))
            self._sequences = _sequence_limit(said)

    def _observe_engine(self, curve: LoadCurve, at_s: float, max_gap_s: float) -> None:
        running, waiting, kv_used = (
            self._latest((signal, ()), at_s) for signal in (RUNNING, WAITING, KV_USED)
        )
        if waiting is not None:
            limit = held_by(running, kv_used, self._sequences) if waiting > 0 else None
            for name in LIMITS:
                key = (SATURATED, (("joulewise.limit", name),))
                self._level(key, float(name == limit), at_s, max_gap_s)
        tokens = self._counters.get(OUTPUT_TOKENS)
        if running is not None and tokens is not None and tokens.seen_s == at_s:
            curve.observe(at_s, running, tokens.amount)

    def _latest(self, key: Key, at_s: float) -> float | None:
        level = self._levels.get(key)
        return level.last if level is not None and level.last_s == at_s else None

    def energy(self, at_s: float) -> tuple[str, float] | None:
        """The GPU's joules at the moment just observed: its counter, else its power's integral.

        The name of the meter goes before them: the two have different beginnings.
        """
        counter = next((c for (name, _), c in self._counters.items() if name == "hw.energy"), None)
        if counter is not None:
            return (self.source, counter.amount) if counter.seen_s == at_s else None
        power = next((x for (name, _), x in self._levels.items() if name == "hw.power"), None)
        if power is None or power.last_s != at_s:
            return None
        return f"{self.source} power", power.integral

    def close(self, end_s: float, max_gap_s: float) -> tuple[Point, ...]:
        """The points of what was seen in the window, if anything was. The next window opens."""
        for level in self._levels.values():
            level.hold(end_s, max_gap_s)
        seen = any(x.fresh for x in self._counters.values()) or any(
            x.highest is not None for x in self._levels.values()
        )
        points = tuple(self._points()) if seen else ()
        for level in self._levels.values():
            level.open_window()
        for counter in self._counters.values():
            counter.fresh = False
        return points

    def _points(self) -> Iterator[Point]:
        counted = {signal for signal, _ in self._counters}
        for (signal, pairs), counter in self._counters.items():
            if counter.fresh:
                yield Point(signal, self._label(pairs), counter.value, counter.origin_s)
        for (signal, pairs), level in self._levels.items():
            if level.highest is not None:
                yield from self._level_points(signal, pairs, level, counted)
        for signal, pairs in self._infos.items():
            yield Point(signal, self._label(pairs), 1.0)
        yield from self._observed_points()
        for signal, lower, value in self.curve.points() if self.curve is not None else ():
            yield Point(
                signal, self._label((("joulewise.running_bin", str(lower)),)), value, self._origin_s
            )

    def _level_points(
        self, signal: str, pairs: Attributes, level: Level, counted: set[str]
    ) -> Iterator[Point]:
        if signal in SHIPPED:
            yield Point(signal, self._label(pairs), level.mean())
        integral = INTEGRALS.get(signal)
        if integral is not None and integral not in counted:
            own = (*pairs, ("joulewise.derived", "true")) if integral in DERIVED else pairs
            yield Point(integral, self._label(own), level.integral, self._origin_s)
        if signal in MAXIMA and level.highest is not None:
            yield Point(MAXIMA[signal], self._label(()), level.highest)

    def _observed_points(self) -> Iterator[Point]:
        seconds: dict[str, float] = {}
        series: Iterable[tuple[Key, Counter | Level]] = chain(
            self._counters.items(), self._levels.items()
        )
        for (signal, _), one in series:
            seconds[signal] = max(seconds.get(signal, 0.0), one.seconds)
        for name, groups in OBSERVED.items():
            for group, signals in groups.items():
                found = next((seconds[signal] for signal in signals if signal in seconds), None)
                if found is not None:
                    self._observed_s[group] = max(found, self._observed_s.get(group, 0.0))
                    pairs = (("joulewise.group", group),) if group else ()
                    yield Point(name, self._label(pairs), self._observed_s[group], self._origin_s)

    def _label(self, pairs: Attributes) -> Attributes:
        """The attributes with the subject's own, in canonical order."""
        labels = self._labels.get(pairs)
        if labels is None:
            own = OWN_ATTRIBUTE.get(self.subject.kind)
            labels = attributes({**dict(pairs), own: self.subject.id} if own else dict(pairs))
            self._labels[pairs] = labels
        return labels

    def snapshot(self) -> dict[str, Any]:
        """The track in JSON."""
        return {
            "subject": [self.subject.kind, self.subject.id],
            "source": self.source,
            "origin_s": self._origin_s,
            "counters": [[*key, counter.snapshot()] for key, counter in self._counters.items()],
            "levels": [[*key, level.snapshot()] for key, level in self._levels.items()],
            "infos": self._infos,
            "observed_s": self._observed_s,
            "curve": None if self.curve is None else self.curve.snapshot(),
        }

    @classmethod
    def restore(cls, fields: dict[str, Any]) -> Track:
        """The track that `snapshot` wrote."""
        track = cls(Subject(*fields["subject"]), fields["source"])
        for signal, pairs, counter in fields["counters"]:
            track._counters[signal, _pairs(pairs)] = Counter.restore(counter)
        for signal, pairs, level in fields["levels"]:
            track._levels[signal, _pairs(pairs)] = Level.restore(level)
        for signal, pairs in fields["infos"].items():
            track._describe(Reading(signal, _pairs(pairs), 1.0))
        track._origin_s = fields["origin_s"]
        track._observed_s = dict(fields["observed_s"])
        if fields["curve"] is not None:
            track.curve = LoadCurve.restore(fields["curve"])
        return track


class WindowBuilder:
    """Collects observations and closes them into windows, one a subject and source.

    Integrals and load counters run on through `snapshot` and `restore`; their origin is the first
    observation of their subject and source. A gap above `max_gap_s` between two observations is not
    bridged: it counts neither in integrals nor in the time observed.
    """

    def __init__(self, start_s: float, *, max_gap_s: float) -> None:
        self.start_s = start_s
        self._max_gap_s = max_gap_s
        self._tracks: dict[tuple[Subject, str], Track] = {}
        self._meters: dict[str, EnergyMeter] = {}

    def add(self, observation: Observation) -> None:
        """Take one observation into the open window."""
        subject, source, at_s = observation.subject, observation.source, observation.at_s
        track = self._tracks.get((subject, source))
        if track is None:
            track = self._tracks[subject, source] = Track(subject, source)
        track.observe(at_s, observation.readings, observation.origin_s, self._max_gap_s)
        if subject.kind == "gpu" and (energy := track.energy(at_s)) is not None:
            name, joules = energy
            meter = self._meters.setdefault(subject.id, EnergyMeter(name))
            meter.record(name, at_s, joules, self._max_gap_s)
        elif track.curve is not None:
            track.curve.settle(self._meters, at_s, self._max_gap_s)

    def close(self, end_s: float) -> tuple[Window, ...]:
        """The windows of what was observed since the last close; the next one opens at `end_s`."""
        windows = tuple(self._closed(end_s))
        oldest_s = min(
            (track.curve.oldest_needed_s(end_s) for track in self._tracks.values() if track.curve),
            default=end_s,
        )
        for meter in self._meters.values():
            meter.forget(oldest_s)
        self.start_s = end_s
        return windows

    def _closed(self, end_s: float) -> Iterator[Window]:
        for track in self._tracks.values():
            if track.curve is not None:
                track.curve.settle(self._meters, end_s, self._max_gap_s)
            points = track.close(end_s, self._max_gap_s)
            if points:
                yield Window(track.subject, track.source, self.start_s, end_s, points)

    def snapshot(self) -> dict[str, Any]:
        """Everything the builder knows, as JSON values without NaN or infinity."""
        return {
            "version": SNAPSHOT_VERSION,
            "start_s": self.start_s,
            "tracks": [track.snapshot() for track in self._tracks.values()],
            "meters": {gpu_id: meter.snapshot() for gpu_id, meter in self._meters.items()},
        }

    @classmethod
    def restore(cls, snapshot: dict[str, Any], *, max_gap_s: float) -> WindowBuilder:
        """The builder that wrote the snapshot; one of another version has nothing to restore from.

        Raises:
            ValueError: the snapshot is of another version.
        """
        if snapshot.get("version") != SNAPSHOT_VERSION:
            raise ValueError(
                f"restoring windows: the state is of version {snapshot.get('version')}, this agent "
                f"reads version {SNAPSHOT_VERSION}; start with a new state, no counter is lost"
            )
        builder = cls(snapshot["start_s"], max_gap_s=max_gap_s)
        for fields in snapshot["tracks"]:
            track = Track.restore(fields)
            builder._tracks[track.subject, track.source] = track
        for gpu_id, fields in snapshot["meters"].items():
            builder._meters[gpu_id] = EnergyMeter(*fields)
        return builder


def _is_finite(value: float | Histogram) -> bool:
    if isinstance(value, Histogram):
        return math.isfinite(value.sum) and math.isfinite(value.count)
    return math.isfinite(value)


def _sequence_limit(info: dict[str, str]) -> float | None:
    """The most requests an instance may run: the limit is one data rank's."""
    try:
        ranks = int(info.get("joulewise.parallel.data") or 1)
        return float(info["joulewise.max_sequences"]) * ranks
    except (KeyError, ValueError):
        return None


def _pairs(listed: list[list[str]]) -> Attributes:
    return tuple((name, value) for name, value in listed)
