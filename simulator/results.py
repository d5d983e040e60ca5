"""What a demo leaves behind: scores, advice and the weekly report; and advice as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
from rich.table import Table

from simulator.errors import DemoError

_PATIENCE_S = 180.0


class Advisor:
    """A running advisor over REST."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def is_ready(self) -> bool:
        """Whether it answers that it is ready."""
        try:
            return self._client.get("/readyz", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def assess(self) -> None:
        """Have it judge the fleet now.

        Raises:
            DemoError: it did not.
        """
        self._request("POST", "/api/v1/assessments:refresh")

    def listing(self, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page.

        Raises:
            DemoError: it did not answer.
        """
        items: list[dict[str, Any]] = []
        parameters: dict[str, str] = {}
        while True:
            page = self._request("GET", path, parameters).json()
            items += page["items"]
            if not page.get("next_cursor"):
                return items
            parameters = {"cursor": page["next_cursor"]}

    def content(self, path: str) -> bytes:
        """What is at a path, as it is.

        Raises:
            DemoError: it did not answer.
        """
        return self._request("GET", path).content

    def _request(
        self, method: str, path: str, parameters: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            response = self._client.request(method, path, params=parameters)
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise DemoError(f"asking the advisor for {path}: {error.response.text}") from error
        except httpx.HTTPError as error:
            raise DemoError(f"asking the advisor for {path}: {error}") from error
        return response


_REPORTS = ("weekly.html", "weekly.eml")
_LISTS = ("scores", "recommendations")
FILES = (*_REPORTS, *(f"{name}.json" for name in _LISTS))


def write(advisor: Advisor, out: Path) -> None:
    """The report, and lists as REST gives them, as files in `out`.

    Raises:
        DemoError: the advisor did not answer, or the folder cannot be written.
    """
    contents = {name: advisor.content(f"/api/v1/reports/{name}") for name in _REPORTS}
    for name in _LISTS:
        text = json.dumps(advisor.listing(f"/api/v1/{name}"), indent=2, ensure_ascii=False)
        contents[f"{name}.json"] = text.encode() + b"\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise DemoError(
            f"writing the files into {out}: {error.strerror}; give another folder with --out"
        ) from error


def summary(recommendations: list[dict[str, Any]], nodes: list[str]) -> Table:
    """Advice in the advisor's order, and the nodes that need none."""
    table = Table(title="What to change", title_justify="left")
    for heading in ("#", "node", "advice", "USD a month"):
        table.add_column(heading, justify="right" if heading in "#USD a month" else "left")
    for item in sorted(recommendations, key=lambda item: int(item["rank"])):
        nodes_named = ", ".join(item["node_ids"])
        table.add_row(str(item["rank"]), nodes_named, item["title"], _saving(item))
    advised = {node for item in recommendations for node in item["node_ids"]}
    for node in nodes:
        if node not in advised:
            table.add_row("", node, "nothing to change", "")
    return table


def _saving(item: Mapping[str, Any]) -> str:
    interval = item["cost_usd_per_month"]
    if interval is None:
        return "unknown"
    low, expected, high = interval["low"], interval["expected"], interval["high"]
    return f"{expected:+,.0f} ({low:+,.0f} to {high:+,.0f})"
