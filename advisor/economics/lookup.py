"""Rows of a table by id, found by one sort."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Lookup:
    """The rows of each id in a column of ids, in their own order."""

    def __init__(self, ids: NDArray[np.str_]) -> None:
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]

    def rows(self, *ids: str) -> NDArray[np.intp]:
        """Row numbers of these ids together, ascending."""
        lows = np.searchsorted(self._sorted, ids, "left")
        highs = np.searchsorted(self._sorted, ids, "right")
        parts = [self._order[low:high] for low, high in zip(lows, highs, strict=True)]
        return np.sort(np.concatenate(parts)) if parts else np.array([], dtype=np.intp)
