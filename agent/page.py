"""A metrics page in Prometheus text, read for known names; what a value means is for the tables.

A series seen before is recognised as a whole, so that a page read every few seconds costs little
more than its numbers.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from agent.vocabulary import Histogram

Labels = tuple[tuple[str, str], ...]
"""Label pairs sorted by name, without the `le` of a bucket."""

MAX_SERIES = 50_000
"""Series kept between reads; beyond, they are forgotten and learnt anew."""

CUT_OFF = "the last line is cut off"
NOT_A_NUMBER = "the value is not a number"
MALFORMED = "the line is malformed"
REPEATED = "the series is repeated"

_NAME = r"[ \t]*([A-Za-z_]\w*)[ \t]*=[ \t]*"
_BEFORE_VALUE = re.compile(r"[ \t]*,?" + _NAME, re.ASCII)
_LABEL = re.compile(_NAME + r'"((?:[^"\\]|\\.)*+)"[ \t]*(?:,|(?=\}))', re.ASCII)
_AFTER_LABELS = re.compile(r"[ \t]*\}")
_REST = re.compile(r"[ \t]*(\S+)(?:[ \t]+-?\d[\d.eE+-]*)?[ \t\r]*(?:[ \t]#.*)?")
_ESCAPE = re.compile(r'\\([\\n"])')

Pairs = list[tuple[str, str]]


@dataclass(slots=True, eq=False)
class Series:
    """One line's identity: the key its name is known by, its labels and, of a bucket, the bound.

    Never changed once made; not frozen, since a first read makes hundreds and freezing costs.
    """

    key: str
    labels: Labels
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """Series that differ in nothing but the bound; of what is no bucket, one without a bound."""

    key: str
    labels: Labels
    series: dict[float | None, Series]


class Page:
    """What was known on a page. Values stand as they were written, NaN and infinities included."""

    def __init__(self, values: Mapping[Series, float], problems: Mapping[str, int]) -> None:
        self.problems = problems
        self._by_key: defaultdict[str, list[tuple[Series, float]]] = defaultdict(list)
        for series, value in values.items():
            self._by_key[series.key].append((series, value))

    @property
    def skipped(self) -> int:
        """How many samples of known names could not be taken; `problems` counts them by reason."""
        return sum(self.problems.values())

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def __iter__(self) -> Iterator[Series]:
        return (series for samples in self._by_key.values() for series, _ in samples)

    def samples(self, key: str) -> Sequence[tuple[Series, float]]:
        """Every sample known by this key, in the order of the page."""
        return self._by_key.get(key, ())

    def histograms(self, key: str) -> list[tuple[Labels, Histogram]]:
        """The histograms of a family; one without sum, count or rising buckets is absent."""
        buckets: defaultdict[Labels, list[tuple[float, float]]] = defaultdict(list)
        for series, value in self.samples(key + "_bucket"):
            if series.bound is not None:
                buckets[series.labels].append((series.bound, value))
        sums = {series.labels: value for series, value in self.samples(key + "_sum")}
        counts = {series.labels: value for series, value in self.samples(key + "_count")}
        return [
            (labels, histogram)
            for labels, pairs in buckets.items()
            if (histogram := _histogram(pairs, sums.get(labels), counts.get(labels)))
        ]


class PageReader:
    """Reads pages for the names given, each with the key it is known by; several may share one."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._texts: dict[str, Series] = {}
        self._shapes: dict[str, Family] = {}
        self._families: dict[tuple[str, Labels], Family] = {}

    def read(self, text: bytes) -> Page:
        """One page. Whatever cannot be read is left out and counted; nothing is raised."""
        if len(self._texts) > MAX_SERIES:
            for learnt in (self._texts, self._shapes, self._families):
                learnt.clear()
        lines = text.decode("utf-8", "replace").split("\n")
        problems: Counter[str] = Counter()
        if lines.pop().strip():
            problems[CUT_OFF] += 1
        return Page(self._values(lines, problems), problems)

    def _values(self, lines: Iterable[str], problems: Counter[str]) -> dict[Series, float]:
        values: dict[Series, float] = {}
        texts = self._texts
        for line in lines:
            text, _, number = line.rpartition(" ")
            series = texts.get(text)
            if series is None:
                if not line or line[0] == "#":
                    continue
                sample = self._parse(line, problems)
                if sample is None:
                    continue
                series, number = sample
            if series in values:
                problems[REPEATED] += 1
                continue
            try:
                values[series] = float(number) if "_" not in number else float("")
            except ValueError:
                problems[NOT_A_NUMBER] += 1
        return values

    def _parse(self, line: str, problems: Counter[str]) -> tuple[Series, str] | None:
        """Series and value of a line not seen before; None where it is of no known name."""
        shape = _shape(line)
        if shape and shape[0] in self._shapes:
            return self._bucket(line, *shape)
        head, brace, body = line.partition("{")
        words = head.split(None, 1)
        key = self._names.get(words[0]) if words else None
        if key is None:
            return None
        split = _split(body) if brace else ([], words[1] if len(words) > 1 else "")
        if split is None or (brace and len(words) > 1):
            problems[MALFORMED] += 1
            return None
        pairs, rest = split
        number = _number(rest)
        if number is None:
            problems[NOT_A_NUMBER] += 1
            return None
        text = line[: len(line) - len(rest)].rstrip()
        if text in self._texts:
            return self._texts[text], number
        bound = None
        if key.endswith("_bucket"):
            bound = _bound(dict(pairs).get("le"))
            pairs = [pair for pair in pairs if pair[0] != "le"]
        labels = tuple(sorted(pairs))
        family = self._families.setdefault((key, labels), Family(key, labels, {}))
        if shape and key.endswith("_bucket"):
            self._shapes[shape[0]] = family
        return self._learn(text, family, bound), number

    def _bucket(self, line: str, shape: str, bound: str, rest: str) -> tuple[Series, str]:
        """The series and value of another bucket of a histogram that is known but for its bound."""
        series = self._learn(line[: len(line) - len(rest)], self._shapes[shape], _bound(bound))
        return series, _number(rest) or ""

    def _learn(self, text: str, family: Family, bound: float | None) -> Series:
        """The series of a text not seen before; labels in another order are the same series."""
        series = family.series.get(bound)
        if series is None:
            series = family.series[bound] = Series(family.key, family.labels, bound)
        self._texts[text] = series
        return series


def flat_page(values: Mapping[str, float]) -> Page:
    """A page of one sample a key, without labels: what a JSON document says."""
    return Page({Series(key, ()): value for key, value in values.items()}, {})


def _split(body: str) -> tuple[Pairs, str] | None:
    """Label pairs and what follows the closing brace; None where the braces hold anything else.

    Where nothing is escaped and no exemplar follows, quotes alone tell names from values.
    """
    if "\\" in body or "#" in body:
        return _split_escaped(body)
    *parts, last = body.split('"')
    inside, brace, rest = last.partition("}")
    if not brace or len(parts) % 2 or inside.strip(" \t,"):
        return None
    pairs = []
    for before, value in zip(parts[::2], parts[1::2], strict=True):
        name = _label_name(before)
        if name is None:
            return None
        pairs.append((name, value))
    return pairs, rest


def _shape(line: str) -> tuple[str, str, str] | None:
    """A bucket's line without its bound, the bound, and what follows the labels.

    None where there is no plain `le`: nothing may be escaped, and no exemplar may follow.
    """
    at = line.find('le="')
    if at < 1 or line[at - 1] not in "{," or "\\" in line or "#" in line:
        return None
    end, brace = line.find('"', at + 4), line.rfind("}")
    if line.count('"', 0, at) % 2 or not at < end < brace:
        return None
    return line[:at] + line[end:brace], line[at + 4 : end], line[brace + 1 :]


@lru_cache(maxsize=1024)
def _label_name(before: str) -> str | None:
    match = _BEFORE_VALUE.fullmatch(before)
    return match[1] if match else None


def _split_escaped(body: str) -> tuple[Pairs, str] | None:
    pairs, position = [], 0
    while label := _LABEL.match(body, position):
        pairs.append((label[1], _ESCAPE.sub(_unescaped, label[2])))
        position = label.end()
    end = _AFTER_LABELS.match(body, position)
    return (pairs, body[end.end() :]) if end else None


def _number(rest: str) -> str | None:
    """The value in what follows the labels; a timestamp and an exemplar may stand behind it."""
    words = rest.split(None, 1)
    if len(words) == 1:
        return words[0]
    match = _REST.fullmatch(rest)
    return match[1] if match else None


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]


def _bound(text: str | None) -> float | None:
    """The bound as a number; None, by which the bucket is left out, where it is none."""
    try:
        bound = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _histogram(
    pairs: list[tuple[float, float]], total: float | None, count: float | None
) -> Histogram | None:
    pairs.sort()
    if count is None and pairs[-1][0] == math.inf:
        count = pairs[-1][1]
    if total is None or count is None or not math.isfinite(total):
        return None
    if pairs[-1][0] != math.inf:
        pairs.append((math.inf, count))
    rising = all(lower <= upper for (_, lower), (_, upper) in pairwise(pairs))
    return Histogram(tuple(pairs), total, count) if rising and pairs[0][1] >= 0 else None
