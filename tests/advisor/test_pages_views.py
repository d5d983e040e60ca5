"""What pages show: the figures of REST, absence, staleness, emptiness, and nothing that a label could inject."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from advisor.assessment import Assessment
from advisor.pages.marks import savings
from advisor.pages.scope import combined

PAGES = (
    "/",
    "/nodes/h100-a",
    "/nodes/b200-good",
    "/recommendations",
    "/recommendations/rec_h100-a_fp8_weights",
)


@pytest.fixture(scope="module")
def client(web: ModuleType) -> Any:
    return web.Client(web.backing(web.assessment()))


def titles(text: str) -> set[str]:
    return {html.unescape(found) for found in re.findall(r'title="([^"]*)"', text)}


def test_the_tiles_show_the_fleet_cost_line_of_rest(client: Any) -> None:
    cost = client.get("/api/v1/costs?kind=fleet").json()["items"][0]
    shown = titles(client.get("/").text)
    for field, unit in (
        ("cost_usd", "USD"),
        ("usd_per_million_output_tokens", "USD"),
        ("joules_per_output_token_gpu", "J/token, GPUs"),
        ("output_tokens", "tokens"),
    ):
        assert f"{cost[field]:.10g} {unit}" in shown


def test_the_node_table_shows_each_node_s_figures_of_rest(client: Any) -> None:
    shown = titles(client.get("/").text)
    for node in client.get("/api/v1/nodes").json()["items"]:
        assert (
            f"{node['cost']['usd_per_million_output_tokens']:.10g} USD per 1M output tokens"
            in shown
        )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_inline_script_or_style(client: Any, page: str) -> None:
    text = client.get(page).text
    assert not re.search(r"<script(?![^>]*(src=|application/json))", text)
    assert "style=" not in text
    assert "onclick=" not in text


@pytest.mark.parametrize("page", PAGES)
def test_every_link_on_a_page_leads_somewhere(client: Any, page: str) -> None:
    links = {html.unescape(link) for link in re.findall(r'href="(/[^"#]*)', client.get(page).text)}
    assert len(links) > 5
    broken = {link for link in links if client.get(link).status_code != 200}
    assert not broken


def test_a_scope_shows_the_sum_of_its_instances(web: ModuleType, client: Any) -> None:
    said = web.assessment()
    lines = [c for c in said.costs if c.kind == "instance" and c.id.startswith("h100-a")]
    text = client.get("/?deployment=llama-3.3-70b-instruct-h100-a").text
    assert f"{combined(lines).joules_per_output_token_gpu:.10g} J/token, GPUs" in titles(text)
    assert "b200-good" not in text.partition('id="nodes"')[2].partition("</table>")[0]


def test_the_funnel_s_dollars_are_each_node_s_hours_at_its_own_price(web: ModuleType) -> None:
    from advisor.pages.scope import Scope
    from advisor.pages.tiles import funnel

    said = web.assessment()
    total, _, active, _ = (stage.usd.value for stage in funnel(said, Scope()))
    nodes = [c for c in said.costs if c.kind == "node"]
    assert total == pytest.approx(sum(c.cost_usd for c in nodes))
    assert total - active == pytest.approx(sum(c.idle_cost_usd for c in nodes))


def test_a_scope_of_nothing_says_so(client: Any) -> None:
    text = client.get("/?model=none/such").text
    assert "No node lies in this scope." in text


def test_an_absent_figure_is_a_dash_that_says_why(web: ModuleType) -> None:
    said = web.assessment()
    costs = tuple(
        replace(c, usd_per_million_output_tokens=None, cost_usd=None) if c.kind == "fleet" else c
        for c in said.costs
    )
    text = web.Client(web.backing(replace(said, costs=costs))).get("/").text
    tile = text.partition("$/1M output tokens")[2].partition("</div>")[0]
    assert 'title="no data">\u2013' in tile
    assert "$0" not in tile


def test_without_data_the_page_says_how_to_connect_an_agent(web: ModuleType) -> None:
    text = web.Client(web.backing(None)).get("/").text
    assert "No data yet" in text
    assert "joulewise-agent check" in text


def test_an_old_assessment_is_called_old(client: Any) -> None:
    assert "These figures are" in client.get("/").text


def test_a_silent_node_is_named(web: ModuleType) -> None:
    said = web.assessment()
    first = replace(said.fleet.nodes[0], last_seen=web.NOW - timedelta(hours=3))
    quiet = replace(said, fleet=replace(said.fleet, nodes=(first, *said.fleet.nodes[1:])))
    assert "silent: h100-a" in web.Client(web.backing(quiet)).get("/").text


def test_a_hostile_label_is_shown_as_text(web: ModuleType) -> None:
    said = web.assessment()
    evil = '<script>alert(1)</script>"><b>'
    first = replace(said.fleet.nodes[0], name=evil)
    named = replace(said, fleet=replace(said.fleet, nodes=(first, *said.fleet.nodes[1:])))
    client = web.Client(web.backing(named))
    for page in ("/", "/nodes/h100-a", "/api/v1/reports/weekly.html"):
        assert "<script>alert" not in client.get(page).text


@pytest.mark.parametrize("range_name", ["24h", "7d", "4w"])
def test_the_range_of_a_page_is_in_its_url_and_marked(client: Any, range_name: str) -> None:
    text = client.get(f"/?range={range_name}").text
    assert re.search(rf'range={range_name}" aria-current="true"', text)
    assert f"/nodes/h100-a?range={range_name}" in text


def test_a_figure_of_another_range_leads_to_that_range(client: Any) -> None:
    links = re.findall(r'class="figure[^"]*" href="([^"]*)"', client.get("/?range=24h").text)
    assert links
    assert all(link.endswith("range=24h") for link in links)


def test_a_range_that_is_none_is_refused(client: Any) -> None:
    assert client.get("/?range=1y").status_code == 400


def test_an_error_in_a_browser_is_a_page(client: Any) -> None:
    answer = client.get("/nodes/nowhere", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is no node" in html.unescape(answer.text)


def test_a_page_that_shows_the_latest_is_told_nothing(client: Any) -> None:
    made_at = client.backing.advisor.assessment.made_at.isoformat()
    assert client.get("/fragments/fresh", params={"made_at": made_at}).text == ""
    assert "Newer figures" in client.get("/fragments/fresh", params={"made_at": "old"}).text


def test_savings_of_one_exclusive_group_are_counted_once(web: ModuleType) -> None:
    first, second = (replace(r, exclusive_group="same") for r in web.recommendations()[:2])
    both = savings([first, second])
    assert both.usd_per_month == pytest.approx(12_900)
    assert both.cash_usd_per_month == pytest.approx(12_900)


def test_the_story_s_pages_can_be_shown(web: ModuleType, story_assessment: Assessment) -> None:
    client = web.Client(web.backing(story_assessment))
    pages = ["/", *(f"/nodes/{node.id}" for node in story_assessment.fleet.nodes)]
    pages += [f"/recommendations/{item.id}" for item in story_assessment.recommendations]
    pages += [f"/api/v1/reports/weekly.{kind}" for kind in ("html", "txt", "eml")]
    assert [client.get(page).status_code for page in pages] == [200] * len(pages)
