"""Pages in a real Chromium: a quiet console, the figures of REST, the keyboard, contrast, both schemes."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="browser: chromium is not installed"),
]
PAGES = (
    "/",
    "/?range=24h",
    "/nodes/h100-a",
    "/nodes/b200-good",
    "/recommendations",
    "/recommendations/rec_h100-a_fp8_weights",
)
WIDTH = 1440


@pytest.fixture(scope="module")
def address(web: ModuleType) -> Iterator[str]:
    """Where the synthetic fleet is served."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = web.Client(web.backing(web.assessment())).app
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = chromium.new_context(
        viewport={"width": WIDTH, "height": 900}, color_scheme=request.param
    )
    yield context.new_page()
    context.close()


def listen(page: Page) -> list[str]:
    """What the console and failed requests say from here on."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.on(
        "response", lambda response: said.append(response.url) if response.status >= 400 else None
    )
    return said


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_nothing_on_the_console_and_fits_the_window(
    page: Page, address: str, path: str
) -> None:
    said = listen(page)
    page.goto(address + path, wait_until="networkidle")
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH


def test_the_tiles_are_the_figures_of_rest(page: Page, address: str) -> None:
    page.goto(address)
    cost = httpx.get(f"{address}/api/v1/costs?kind=fleet").json()["items"][0]
    shown = [tile.get_attribute("title") or "" for tile in page.locator(".tile .big > *").all()]
    expected = (
        "cost_usd",
        "usd_per_million_output_tokens",
        "joules_per_output_token_gpu",
        "output_tokens",
    )
    for title, field in zip(shown, expected, strict=False):
        assert float(title.split()[0]) == pytest.approx(cost[field], rel=1e-9)


def test_the_funnel_is_the_figures_of_rest(page: Page, address: str) -> None:
    page.goto(address)
    cost = httpx.get(f"{address}/api/v1/costs?kind=fleet").json()["items"][0]
    shown = [cell.get_attribute("title") or "" for cell in page.locator(".funnel .figure").all()]
    stages = ("", "allocated_", "active_", "effective_")
    fields = [f"{stage}{of}" for stage in stages for of in ("gpu_hours", "cost_usd")]
    for title, field in zip(shown, fields, strict=True):
        assert float(title.split()[0]) == pytest.approx(cost[field], rel=1e-9)


def test_the_table_of_nodes_is_the_figures_of_rest(page: Page, address: str) -> None:
    page.goto(f"{address}/?sort=name")
    costs = {c["id"]: c for c in httpx.get(f"{address}/api/v1/costs?kind=node").json()["items"]}
    rows = page.locator("table.nodes tbody tr").all()
    assert len(rows) == len(costs)
    for row in rows:
        cost = costs[row.locator("th a").inner_text()]
        titles = [cell.get_attribute("title") or "" for cell in row.locator(".figure").all()]
        assert float(titles[1].split()[0]) == pytest.approx(cost["joules_per_output_token_gpu"])
        assert float(titles[2].split()[0]) == pytest.approx(cost["usd_per_million_output_tokens"])


@pytest.mark.parametrize("width", [390, 1024])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone_and_a_small_window(
    chromium: Browser, address: str, path: str, width: int
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 844})
    page.goto(address + path, wait_until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_node_page_draws_every_chart(page: Page, address: str) -> None:
    page.goto(f"{address}/nodes/h100-a", wait_until="networkidle")
    page.wait_for_selector("html[data-charts=drawn]")
    figures = page.locator(".plot").count()
    assert figures >= 6
    assert page.locator(".plot canvas").count() == figures


def test_charts_show_the_windows_of_rest(page: Page, address: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/nodes/h100-a", wait_until="networkidle")
    windows = [url for url in asked if "/api/v1/windows" in url]
    assert len(windows) == 3  # the node and its two instances
    assert all(httpx.get(url).json()["time"] for url in windows)


def test_every_control_is_reached_by_the_keyboard_and_shows_its_focus(
    page: Page, address: str
) -> None:
    page.goto(address, wait_until="networkidle")
    wanted = page.locator("a:visible, select:visible, button:visible").count()
    seen = set()
    for _ in range(wanted + 10):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
        outlined = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outlined != "none" or page.evaluate("document.activeElement === document.body")
    assert len(seen) >= wanted


def test_a_recommendation_is_accepted_and_reopened_by_its_forms(
    chromium: Browser, address: str
) -> None:
    page = chromium.new_page()
    page.goto(f"{address}/recommendations/rec_b200-r1_nvfp4_weights")
    page.get_by_role("button", name="Accept").click()
    assert page.locator("#state").inner_text() == "accepted"
    page.get_by_role("button", name="Reopen").click()
    assert page.locator("#state").inner_text() == "open"
    page.close()


def test_choosing_a_scope_narrows_the_page_and_its_url(chromium: Browser, address: str) -> None:
    page = chromium.new_page()
    said = listen(page)
    page.goto(address, wait_until="networkidle")
    page.get_by_label("Team").select_option("search")
    page.wait_for_url(re.compile("team=search"))
    page.wait_for_function("document.querySelectorAll('table.nodes tbody tr').length === 2")
    assert said == []
    page.close()


CONTRAST = """() => {
  const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const channels = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const c = channels(getComputedStyle(at).backgroundColor);
      if (c[3] === 255) return c;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, .hidden, .skip, option')) continue;
    const a = light(channels(getComputedStyle(element).color));
    const b = light(ground(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.className} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("path", PAGES)
def test_every_word_has_a_contrast_of_4_5_to_1(page: Page, address: str, path: str) -> None:
    page.goto(address + path, wait_until="networkidle")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_fetched_from_elsewhere(chromium: Browser, address: str, path: str) -> None:
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + path, wait_until="networkidle")
    assert [url for url in asked if not url.startswith(address)] == []
    page.close()


def test_the_report_reads_without_script_or_images(chromium: Browser, address: str) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 672, "height": 900}
    )
    page = context.new_page()
    said = listen(page)
    page.goto(f"{address}/api/v1/reports/weekly.html")
    assert page.locator("h1").inner_text() == "5 changes would save $43k a month"
    assert page.locator("body").evaluate("body => body.scrollWidth") <= 672
    assert said == []
    context.close()


def test_the_story_of_a_page_is_told_without_script(chromium: Browser, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("table.nodes tbody tr").count() == 5
    context.close()


def test_chart_data_is_json_that_a_script_can_read(page: Page, address: str) -> None:
    page.goto(f"{address}/nodes/h100-a")
    found: Any = json.loads(
        page.locator("#time-data").inner_text() or page.locator("#time-data").text_content() or ""
    )
    assert datetime.fromisoformat(found["end"]).astimezone(UTC)
