"""What REST answers: lists, absence, filters, windows and the advisor's own metrics."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

LISTS = (
    "nodes",
    "gpus",
    "instances",
    "deployments",
    "scores",
    "costs",
    "recommendations",
    "assessments",
)


@pytest.fixture(scope="module")
def client(web: ModuleType) -> Any:
    return web.Client(web.backing(web.assessment()))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_items_and_a_cursor(client: Any, name: str) -> None:
    answer = client.get(f"/api/v1/{name}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"items", "next_cursor"}
    assert answer.json()["items"]


@pytest.mark.parametrize("name", LISTS)
def test_an_unknown_parameter_is_refused_by_name(client: Any, name: str) -> None:
    answer = client.get(f"/api/v1/{name}?colour=green")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "colour" in answer.json()["detail"]


def test_pages_of_a_list_hold_every_item_once(client: Any) -> None:
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/v1/gpus?limit=7{cursor and f'&cursor={cursor}'}").json()
        found += [gpu["id"] for gpu in page["items"]]
        cursor = page["next_cursor"]
    assert len(found) == len(set(found)) == 40


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=many", "cursor=%21%21", "cursor=bm9uZQ"]
)
def test_a_limit_or_cursor_that_cannot_be_is_a_bad_request(client: Any, query: str) -> None:
    assert client.get(f"/api/v1/nodes?{query}").status_code == 400


def test_a_node_carries_its_parts_score_diagnosis_and_cost(client: Any) -> None:
    node = client.get("/api/v1/nodes/h100-a").json()
    assert len(node["gpu_ids"]) == 8
    assert node["instance_ids"] == ["h100-a:8000", "h100-a:8001"]
    assert node["score"]["low"] <= node["score"]["high"]
    assert node["diagnosis"]["word"] == "queue"
    assert node["cost"]["usd_per_million_output_tokens"] > 0


def test_what_does_not_exist_is_404_with_the_place_to_look(client: Any) -> None:
    answer = client.get("/api/v1/nodes/nowhere")
    assert answer.status_code == 404
    assert "/api/v1/nodes" in answer.json()["detail"]


def test_an_absent_figure_is_null_and_never_zero(client: Any) -> None:
    missing = [
        indicator
        for card in client.get("/api/v1/scores?kind=node").json()["items"]
        for indicator in card["indicators"]
        if indicator["id"].endswith("_missing")
    ]
    assert missing
    assert all(indicator["value"] is None and indicator["points"] is None for indicator in missing)


def test_nan_in_an_assessment_becomes_null(web: ModuleType) -> None:
    said = web.assessment()
    costs = tuple(replace(line, cost_usd=float("nan")) for line in said.costs)
    client = web.Client(web.backing(replace(said, costs=costs)))
    assert client.get("/api/v1/costs?kind=fleet").json()["items"][0]["cost_usd"] is None


def test_every_predicted_figure_has_an_interval_and_its_evidence(client: Any) -> None:
    words = {"measured", "interpolated", "extrapolated", "assumed"}
    for item in client.get("/api/v1/recommendations").json()["items"]:
        predicted = [effect["predicted"] for effect in item["effects"]]
        for interval in (*predicted, item["cost_usd_per_month"], item["energy_kwh_per_month"]):
            assert interval["low"] <= interval["expected"] <= interval["high"]
            assert interval["evidence"] in words


@pytest.mark.parametrize(
    ("query", "count"),
    [("lever=precision", 2), ("node=h100-a", 2), ("state=open", 5), ("state=dismissed", 0)],
)
def test_recommendations_are_filtered(client: Any, query: str, count: int) -> None:
    assert len(client.get(f"/api/v1/recommendations?{query}").json()["items"]) == count


def test_recommendations_come_by_rank(client: Any) -> None:
    ranks = [item["rank"] for item in client.get("/api/v1/recommendations").json()["items"]]
    assert ranks == sorted(ranks)


def test_score_history_is_a_list_of_moments(client: Any) -> None:
    items = client.get("/api/v1/scores/history?kind=fleet&id=fleet").json()["items"]
    assert [item["made_at"] for item in items] == sorted(item["made_at"] for item in items)


def test_a_gap_in_windows_is_null(client: Any) -> None:
    series = client.get(
        "/api/v1/windows?kind=node&id=h100-a&start=2026-11-20T00:00:00Z&end=2026-11-20T12:00:00Z&step=3600"
    ).json()
    power = series["columns"]["power_w"]
    assert len(power) == len(series["time"]) == 12
    assert None in power
    assert any(value for value in power)


@pytest.mark.parametrize(
    "query",
    [
        "start=2026-11-20T00:00:00&end=2026-11-21T00:00:00Z",
        "start=2026-11-21T00:00:00Z&end=2026-11-20T00:00:00Z",
        "start=2026-01-01T00:00:00Z&end=2026-11-20T00:00:00Z&step=60",
        "start=2020-01-01T00:00:00Z&end=2026-11-20T00:00:00Z&step=86400",
        "start=yesterday&end=2026-11-20T00:00:00Z",
    ],
)
def test_a_range_of_windows_that_cannot_be_is_refused(client: Any, query: str) -> None:
    assert client.get(f"/api/v1/windows?kind=gpu&id=x&{query}").status_code == 400


def test_another_range_is_assessed_over_its_own_hours(client: Any) -> None:
    own, day = (
        client.get(f"/api/v1/assessments{query}").json()["items"][0] for query in ("", "?range=24h")
    )
    assert own["start"] == "2026-11-16T09:00:00Z"
    assert day["start"] == "2026-11-22T09:00:00Z"
    assert own["end"] == day["end"]


def test_before_the_first_assessment_resources_are_unavailable_and_probes_answer(
    web: ModuleType,
) -> None:
    client = web.Client(web.backing(None))
    answer = client.get("/api/v1/nodes")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert [client.get(path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200] * 3


def test_metrics_are_prometheus_text_with_the_figures_of_rest(client: Any) -> None:
    families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}
    fleet = client.get("/api/v1/costs?kind=fleet").json()["items"][0]
    samples = families["joulewise_cost_usd"].samples
    found = {
        sample.labels["kind"]: sample.value for sample in samples if sample.labels["id"] == "fleet"
    }
    assert found["fleet"] == pytest.approx(fleet["cost_usd"])


def test_refreshing_assesses_anew(web: ModuleType) -> None:
    client = web.Client(web.backing(web.assessment()))
    assert client.post("/api/v1/assessments:refresh").status_code == 200
    assert len(client.backing.advisor.refreshed) == 1


def test_the_openapi_document_is_3_1_and_every_operation_says_what_it_does(client: Any) -> None:
    openapi = client.get("/openapi.json").json()
    assert openapi["openapi"].startswith("3.1")
    operations = [op for methods in openapi["paths"].values() for op in methods.values()]
    assert len(operations) > 20
    assert all(operation["description"] for operation in operations)
    assert not [
        path
        for path in openapi["paths"]
        if not path.startswith(("/api/v1/", "/livez", "/readyz", "/metrics"))
    ]


def test_a_request_id_is_echoed_or_made(client: Any) -> None:
    assert (
        client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    )
    assert (
        client.get("/livez", headers={"X-Request-Id": "a b\n"}).headers["x-request-id"] != "a b\n"
    )
