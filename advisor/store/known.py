"""Which batches are already stored: sequences as ranges, so that years of batches stay small."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from advisor.store.windows import Fragment

StreamKey = tuple[str, str, str, str, str]
"""(kind, host, subject, epoch, source): one stream of sequences."""


def stream_key(fragment: Fragment) -> StreamKey:
    """The stream a fragment belongs to."""
    return (
        fragment.kind,
        fragment.host_id,
        fragment.subject_id,
        fragment.epoch,
        fragment.source,
    )


class Sequences:
    """A set of integers that mostly follow each other, kept as sorted closed ranges."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number <= self._ends[at]

    def add(self, number: int) -> bool:
        """Add a number; False if it was there."""
        if number in self:
            return False
        self.add_range(number, number)
        return True

    def add_range(self, first: int, last: int) -> None:
        """Add a closed range that overlaps no range held, joining its neighbours."""
        at = bisect_right(self._starts, first)
        if at < len(self._starts) and self._starts[at] == last + 1:
            last = self._ends[at]
            del self._starts[at], self._ends[at]
        if at > 0 and self._ends[at - 1] == first - 1:
            self._ends[at - 1] = last
        else:
            self._starts.insert(at, first)
            self._ends.insert(at, last)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges held, in order."""
        return list(zip(self._starts, self._ends, strict=True))


class Known:
    """The fragment keys that are stored."""

    def __init__(self) -> None:
        self._streams: dict[StreamKey, Sequences] = {}

    def __contains__(self, fragment: Fragment) -> bool:
        held = self._streams.get(stream_key(fragment))
        return held is not None and fragment.sequence in held

    def load(self, key: StreamKey, first: int, last: int) -> None:
        """Take over a range that the store holds."""
        self._streams.setdefault(key, Sequences()).add_range(first, last)

    def add(self, fragments: Iterable[Fragment]) -> None:
        """Remember fragments that were committed."""
        for fragment in fragments:
            self._streams.setdefault(stream_key(fragment), Sequences()).add(fragment.sequence)

    def new(self, fragments: Iterable[Fragment]) -> list[Fragment]:
        """The fragments whose key is not stored, the first of equal keys only."""
        found: dict[tuple[StreamKey, int], Fragment] = {}
        for fragment in fragments:
            key = (stream_key(fragment), fragment.sequence)
            if key not in found and fragment not in self:
                found[key] = fragment
        return list(found.values())
