"""What every list shares: items with a cursor, a limit, and the refusal of unknown parameters."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant

from advisor.api.problem import ApiError

Item = TypeVar("Item")
MAX_LIMIT = 500


class Page:
    """Where a list is read from and how much of it: the parameters `limit` and `cursor`."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="items at most")] = 100,
        cursor: Annotated[
            str | None, Query(description="next_cursor of the page before", max_length=500)
        ] = None,
    ) -> None:
        self.limit = limit
        self.after = _decode(cursor) if cursor else None


Paged = Annotated[Page, Depends()]


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ApiError(
            400, "The cursor is not one this list gave; take next_cursor of the page before."
        ) from error


def cut(
    items: Sequence[Item], page: Page, key: Callable[[Item], str]
) -> tuple[list[Item], str | None]:
    """The items of `page` and the cursor after them. Items keep their order; `key` is unique."""
    start = 0
    if page.after is not None:
        keys = [key(item) for item in items]
        if page.after not in keys:
            raise ApiError(400, "The cursor's item is gone; read the list from its beginning.")
        start = keys.index(page.after) + 1
    chosen = list(items[start : start + page.limit])
    more = start + page.limit < len(items)
    return chosen, _encode(key(chosen[-1])) if more else None


def _parameters(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_parameters(part) for part in dependant.dependencies))


def known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have, naming those it has."""
    route = request.scope.get("route")
    if route is None or not hasattr(route, "dependant"):
        return
    known = _parameters(route.dependant)
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        has = ", ".join(sorted(known)) or "none"
        raise ApiError(400, f"Unknown parameter '{unknown[0]}'; this resource knows: {has}.")
