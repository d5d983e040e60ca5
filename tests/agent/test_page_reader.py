"""The page reader: what it takes, what it leaves out and counts, and that it never raises."""

from __future__ import annotations

import math

import pytest

from agent.page import CUT_OFF, MALFORMED, NOT_A_NUMBER, REPEATED, PageReader, flat_page

NAMES = {name: name for name in ("up", "tokens_total", "wait_bucket", "wait_sum", "wait_count")}
BUCKETS = """\
wait_bucket{{rank="0",le="0.5"}} {}
wait_bucket{{rank="0",le="+Inf"}} {}
"""


def values(text: str, key: str = "up") -> list[tuple[dict[str, str], float]]:
    page = PageReader(NAMES).read(text.encode())
    return [(dict(series.labels), value) for series, value in page.samples(key)]


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("up 1", {}, 1.0),
        ("up 1.5e3 1790000000000", {}, 1500.0),
        ("up{} 2", {}, 2.0),
        ('up{a="b"} 2', {"a": "b"}, 2.0),
        ('up { a = "b" , c = "d" , }\t2', {"a": "b", "c": "d"}, 2.0),
        ('  up{a="b"} 2', {"a": "b"}, 2.0),
        ('up{a="b"}2', {"a": "b"}, 2.0),
        ('up{a="b"} 2 1790000000000', {"a": "b"}, 2.0),
        ('up{a="b"} 2 # {trace_id="x}1"} 0.67 1790000000.5', {"a": "b"}, 2.0),
        ('up{a="with \\"quotes\\", a \\\\ and a\\nline"} 2', {"a": 'with "quotes", a \\ and a\nline'}, 2.0),
        ('up{a="} 5"} 2', {"a": "} 5"}, 2.0),
        ('up{a="x # y",b="{"} 2', {"a": "x # y", "b": "{"}, 2.0),
        ('up{a="le=\\"1\\""} 2', {"a": 'le="1"'}, 2.0),
        ("up +Inf", {}, math.inf),
        ('up{a="b"} 2\r', {"a": "b"}, 2.0),
        ('up{a="Größe"} 2', {"a": "Größe"}, 2.0),
    ],
)  # fmt: skip
def test_a_sample_is_read(line: str, labels: dict[str, str], value: float) -> None:
    assert values(line + "\n") == [(labels, value)]
    again = PageReader(NAMES)
    for _ in range(2):
        samples = again.read(f"{line}\n".encode()).samples("up")
        assert [(dict(series.labels), number) for series, number in samples] == [(labels, value)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("up ERROR - FAILED TO CONVERT TO STRING", NOT_A_NUMBER),
        ('up{a="b"} ERROR - FAILED TO CONVERT TO STRING', NOT_A_NUMBER),
        ('up{a="b"} 12 apples', NOT_A_NUMBER),
        ('up{a="b"} 1_000', NOT_A_NUMBER),
        ('up{a="b"}', NOT_A_NUMBER),
        ("up ", NOT_A_NUMBER),
        ('up{a="b} 2', MALFORMED),
        ('up{a="b" 2', MALFORMED),
        ("up{a=b} 2", MALFORMED),
        ('up{a="b"', MALFORMED),
        ('up 2 {a="b"} 3', MALFORMED),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_taken_is_counted_and_spoils_no_other(
    line: str, problem: str
) -> None:
    page = PageReader(NAMES).read(f'{line}\nup{{other="1"}} 3\n'.encode())
    assert [value for _, value in page.samples("up")] == [3.0]
    assert page.problems == {problem: 1}
    assert page.skipped == 1


def test_a_line_without_its_end_is_no_value() -> None:
    page = PageReader(NAMES).read(b"up 12345\ntokens_total 1234")
    assert not page.samples("tokens_total")
    assert page.problems == {CUT_OFF: 1}


def test_every_page_cut_anywhere_gives_no_value_that_the_whole_page_does_not() -> None:
    text = (
        'up{a="b\\"c"} 12345\ntokens_total 678 1790000000000\n' + BUCKETS.format(3, 14)
    ).encode()
    reader = PageReader(NAMES)
    whole = {(series.key, series.labels, series.bound): v for series, v in _all(reader, text)}
    for end in range(len(text)):
        for series, value in _all(reader, text[:end]):
            assert whole[series.key, series.labels, series.bound] == value


def _all(reader: PageReader, text: bytes) -> list:
    page = reader.read(text)
    return [pair for key in NAMES for pair in page.samples(key)]


def test_of_a_series_that_is_repeated_the_first_stands() -> None:
    page = PageReader(NAMES).read(b'up{a="1",b="2"} 1\nup{b="2",a="1"} 9\n')
    assert [value for _, value in page.samples("up")] == [1.0]
    assert page.problems == {REPEATED: 1}


def test_names_not_asked_for_are_left_alone() -> None:
    page = PageReader(NAMES).read(b"upper 1\nup_created 1\ntokens 5 apples\n# up 3\n\n \nup 2\n")
    assert [value for _, value in page.samples("up")] == [2.0]
    assert not page.problems


def test_two_names_may_share_a_key() -> None:
    reader = PageReader({"old": "power", "new": "power"})
    page = reader.read(b'old{a="1"} 1\nnew{a="2"} 2\nnew{a="1"} 3\n')
    assert [value for _, value in page.samples("power")] == [1.0, 2.0]


def test_series_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.page.MAX_SERIES", 3)
    reader = PageReader(NAMES)
    for start in range(0, 40, 4):
        lines = "".join(f'up{{a="{n}"}} {n}\n' for n in range(start, start + 4))
        assert len(reader.read(lines.encode()).samples("up")) == 4
    assert len(reader._texts) <= 8


def test_a_histogram_is_read_whole() -> None:
    text = BUCKETS.format(3, 5) + 'wait_count{rank="0"} 5\nwait_sum{rank="0"} 2.5\n'
    ((labels, histogram),) = PageReader(NAMES).read(text.encode()).histograms("wait")
    assert labels == (("rank", "0"),)
    assert histogram.buckets == ((0.5, 3.0), (math.inf, 5.0))
    assert (histogram.sum, histogram.count) == (2.5, 5.0)


def test_a_histogram_without_its_last_bucket_takes_it_from_the_count() -> None:
    text = b'wait_bucket{le="0.5"} 3\nwait_count 5\nwait_sum 2.5\n'
    ((_, histogram),) = PageReader(NAMES).read(text).histograms("wait")
    assert histogram.buckets == ((0.5, 3.0), (math.inf, 5.0))


@pytest.mark.parametrize(
    "text",
    [
        BUCKETS.format(3, 5),
        BUCKETS.format(3, 5) + 'wait_count{rank="0"} 5\n',
        BUCKETS.format(3, 5) + 'wait_sum{rank="0"} NaN\n',
        BUCKETS.format("NaN", 5) + 'wait_sum{rank="0"} 1\n',
        BUCKETS.format(7, 5) + 'wait_sum{rank="0"} 1\n',
        BUCKETS.format(-1, 5) + 'wait_sum{rank="0"} 1\n',
        'wait_bucket{rank="0",le="abc"} 1\nwait_sum{rank="0"} 1\nwait_count{rank="0"} 1\n',
    ],
)
def test_a_histogram_that_is_not_complete_or_not_rising_is_absent(text: str) -> None:
    assert PageReader(NAMES).read(text.encode()).histograms("wait") == []


def test_an_empty_page_has_nothing() -> None:
    page = PageReader(NAMES).read(b"")
    assert not page
    assert not page.problems


def test_a_flat_page_has_one_sample_a_key() -> None:
    page = flat_page({"a": 1.0})
    assert [(series.labels, value) for series, value in page.samples("a")] == [((), 1.0)]
