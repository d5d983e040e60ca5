"""A serving engine as a table: which samples of its page mean which signal; and how it is read.

The tables themselves are in `agent/engines/`, one file an engine; they hold names and no logic.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from agent.page import Labels, Page, Series, flat_page
from agent.vocabulary import SIGNALS, Attributes, Histogram, Reading, attributes

NOTHING_SAID = frozenset({"", "none", "auto", "undefined", "unknown", "null"})
"""Label values, lower-cased, by which an engine says that it says nothing."""

_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_TERM = re.compile(
    r"(?P<key>[\w.]+)(?:\{(?P<by>\w+)(?P<sign>!?=)(?P<among>[^}]*)\})?(?:\[(?P<label>\w+)\])?"
)


@dataclass(frozen=True, slots=True)
class Metric:
    """What a signal is read from.

    `sources` are tried in turn, newest first; the first that gives a value stands. A source is the
    name of a sample without the engine's prefix (of a histogram, its family), or, for numbers, a
    formula over such names, worked out from left to right: `used_blocks / max_blocks`.
    `name{label=a|b}` takes only series with such a label value (`!=`: only others), `name[label]`
    the number that a label holds. `only_while` names a counter that must be above zero, for an
    engine that exposes a zero where it does not count.
    """

    signal: str
    sources: tuple[str, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    only_while: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """An attribute of `joulewise.instance.info` and where a page says it: `name` or `name[label]`.

    Where `words` are given, lower-cased values become them and any other value says nothing.
    """

    attribute: str
    sources: tuple[str, ...]
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class EngineTable:
    """One engine.

    `labels` maps labels of its series to attributes, the preferred label first. Others are dropped,
    and series that differ only in those are one: counters are added, the highest of levels stands.
    `words` maps values of an attribute, lower-cased; the entry "" stands for any other.
    """

    name: str
    title: str
    prefixes: tuple[str, ...]
    labels: Mapping[str, str]
    metrics: tuple[Metric, ...]
    info: tuple[Info, ...] = ()
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[str, str]:
        """Every sample name this engine may use, with the key that the table knows it by."""
        keys = {key: key for metric in self.metrics for key in _keys(metric)}
        keys |= {term.key: term.key for info in self.info for term in _formulas(info.sources)}
        bare = {key.removesuffix("_total"): key for key in keys}  # some clients leave it out
        return {
            prefix + name: key for prefix in self.prefixes for name, key in (bare | keys).items()
        }


@dataclass(frozen=True, slots=True)
class Term:
    """One operand of a formula and what joins it to those before it."""

    operator: str
    key: str
    by: str | None
    is_among: bool
    among: frozenset[str]
    label: str | None

    def takes(self, labels: Labels) -> bool:
        """Whether a series with these labels is meant."""
        return (
            self.by is None
            or (dict(labels).get(self.by, "").lower() in self.among) == self.is_among
        )

    def number(self, series: Series, value: float) -> float:
        """The value of a sample, or the number its label holds; NaN where it holds none."""
        if self.label is None:
            return value
        try:
            return float(dict(series.labels).get(self.label, ""))
        except ValueError:
            return math.nan


@lru_cache(maxsize=1024)
def parse_formula(text: str) -> tuple[Term, ...]:
    """The operands of a formula. A table that cannot be read is a fault of ours: ValueError."""
    words = text.split()
    terms = []
    for sign, word in zip(["+", *words[1::2]], words[::2], strict=True):
        match = _TERM.fullmatch(word)
        if match is None or sign not in _OPERATORS:
            msg = (
                f"the formula {text!r} is not name, or name + name, with {{label=value}} or [label]"
            )
            raise ValueError(msg)
        among = frozenset((match["among"] or "").lower().split("|"))
        terms.append(
            Term(sign, match["key"], match["by"], match["sign"] == "=", among, match["label"])
        )
    return tuple(terms)


def read_engine(table: EngineTable, page: Page) -> list[Reading]:
    """The readings of one page. What is NaN, infinite or negative is a sentinel and absent."""
    return [
        Reading(metric.signal, pairs, value)
        for metric in table.metrics
        if not metric.only_while or any(value > 0 for _, value in page.samples(metric.only_while))
        for pairs, value in _values(table, metric, page)
    ]


def page_info(table: EngineTable, page: Page) -> dict[str, str]:
    """What the page says of the configuration, as attributes of `joulewise.instance.info`."""
    found: dict[str, list[str]] = {}
    for info in table.info:
        said = next((word for text in info.sources if (word := _said(text, info, page))), None)
        if said and said not in found.setdefault(info.attribute, []):
            found[info.attribute].append(said)
    pairs = {attribute: ",".join(words) for attribute, words in found.items() if words}
    return {"joulewise.engine.name": table.name, **pairs} if pairs else {}


def json_page(text: bytes) -> Page:
    """TensorRT-LLM's iteration statistics (the newest of the array) or energy, keys joined by dots.

    Raises ValueError where the text is no such JSON.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if isinstance(document, list):
        document = document[-1] if document else {}
    if not isinstance(document, dict):
        raise ValueError("it is neither an object nor an array of objects")  # noqa: TRY004 - one error for any text
    return flat_page(dict(_numbers(document, "")))


def _numbers(document: Mapping[str, object], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in document.items():
        if isinstance(value, dict) and not prefix:
            yield from _numbers(value, f"{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, _float(value)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf


def _values(
    table: EngineTable, metric: Metric, page: Page
) -> Iterable[tuple[Attributes, float | Histogram]]:
    fixed = metric.attributes
    if SIGNALS[metric.signal].kind == "histogram":
        families = (page.histograms(source) for source in metric.sources)
        return _merged(table, fixed, next(filter(None, families), []))
    merge = operator.add if SIGNALS[metric.signal].kind == "counter" else max
    numbers = (_evaluate(table, fixed, source, page, merge) for source in metric.sources)
    return next(filter(None, numbers), {}).items()


def _evaluate(
    table: EngineTable,
    fixed: Mapping[str, str],
    formula: str,
    page: Page,
    merge: Callable[[float, float], float],
) -> dict[Attributes, float]:
    """The value of a formula for each set of attributes that all its operands have."""
    result: dict[Attributes, float] | None = None
    for term in parse_formula(formula):
        operand = _operand(table, fixed, term, page, merge)
        if result is None:
            result = operand
            continue
        join = _OPERATORS[term.operator]
        both = [pairs for pairs in result if pairs in operand]
        result = {
            p: join(result[p], operand[p]) for p in both if term.operator != "/" or operand[p]
        }
    return {pairs: value for pairs, value in (result or {}).items() if 0 <= value < math.inf}


def _operand(
    table: EngineTable,
    fixed: Mapping[str, str],
    term: Term,
    page: Page,
    merge: Callable[[float, float], float],
) -> dict[Attributes, float]:
    found: dict[Attributes, float] = {}
    own = attributes(dict(fixed))
    for series, value in page.samples(term.key):
        number = term.number(series, value)
        if not 0 <= number < math.inf or not term.takes(series.labels):
            continue
        pairs = _attributes(table, series.labels, own)
        found[pairs] = merge(found[pairs], number) if pairs in found else number
    return found


def _merged(
    table: EngineTable, fixed: Mapping[str, str], family: Iterable[tuple[Labels, Histogram]]
) -> Iterable[tuple[Attributes, Histogram]]:
    """Histograms that differ only in dropped labels as one; of unlike ones the fullest."""
    found: dict[Attributes, Histogram] = {}
    own = attributes(dict(fixed))
    for labels, histogram in family:
        pairs = _attributes(table, labels, own)
        found[pairs] = _added(found[pairs], histogram) if pairs in found else histogram
    return found.items()


def _added(one: Histogram, other: Histogram) -> Histogram:
    if [bound for bound, _ in one.buckets] != [bound for bound, _ in other.buckets]:
        return max(one, other, key=lambda histogram: histogram.count)
    pairs = zip(one.buckets, other.buckets, strict=True)
    buckets = tuple((bound, count + more) for (bound, count), (_, more) in pairs)
    return Histogram(buckets, one.sum + other.sum, one.count + other.count)


@lru_cache(maxsize=16_384)
def _attributes(table: EngineTable, labels: Labels, fixed: Attributes) -> Attributes:
    values = dict(labels)
    found = dict(fixed)
    for label, attribute in table.labels.items():
        value = values.get(label, "")
        words = table.words.get(attribute)
        if words and label in values:
            value = words.get(value.lower(), words.get("", ""))
        if value.lower() not in NOTHING_SAID:
            found.setdefault(attribute, value)
    return attributes(found)


def _said(source: str, info: Info, page: Page) -> str | None:
    (term,) = parse_formula(source)
    for series, value in page.samples(term.key):
        if term.label is None:
            text = f"{value:.0f}" if 0 < value < math.inf else ""
        else:
            text = dict(series.labels).get(term.label, "")
        if text.lower() not in NOTHING_SAID:
            return info.words.get(text.lower()) if info.words else text
    return None


def _formulas(sources: Iterable[str]) -> Iterator[Term]:
    return (term for source in sources for term in parse_formula(source))


def _keys(metric: Metric) -> Iterator[str]:
    if SIGNALS[metric.signal].kind == "histogram":
        yield from (
            source + suffix for source in metric.sources for suffix in ("_bucket", "_sum", "_count")
        )
    else:
        yield from (term.key for term in _formulas(metric.sources))
        yield from filter(None, [metric.only_while])
