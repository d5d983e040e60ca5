"""OTLP becomes fragments: what is known is kept, what is not is counted with its reason."""

from __future__ import annotations

import math

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics

from advisor.errors import DecodeError
from advisor.receive.otlp import decode
from advisor.store.columns import histogram_origin
from advisor.store.windows import Fragment

END_S = 1_790_000_060.0
ORIGIN_S = 1_789_000_000.0
CUMULATIVE = 2
DELTA = 1


def pair(key: str, value: str | float) -> KeyValue:
    found = KeyValue(key=key)
    if isinstance(value, str):
        found.value.string_value = value
    elif isinstance(value, int):
        found.value.int_value = value
    else:
        found.value.double_value = value
    return found


RESOURCE = {
    "host.id": "h1",
    "host.name": "box",
    "service.version": "0.1.0",
    "service.instance.id": "e1",
    "joulewise.batch.sequence": 7,
    "joulewise.window.duration": 60.0,
}


def request(*metrics: Metric, scope: str = "joulewise.nvml", **resource) -> bytes:
    message = ExportMetricsServiceRequest()
    part = message.resource_metrics.add()
    for key, value in {**RESOURCE, **resource}.items():
        if value is not None:
            part.resource.attributes.append(pair(key, value))
    scoped = part.scope_metrics.add()
    scoped.scope.name = scope
    scoped.metrics.extend(metrics)
    return message.SerializeToString()


def counter(name: str, value: float, *, temporality: int = CUMULATIVE, **attributes: str) -> Metric:
    metric = Metric(name=name)
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add(
        time_unix_nano=int(END_S * 1e9), start_time_unix_nano=int(ORIGIN_S * 1e9), as_double=value
    )
    point.attributes.extend(pair(k.replace("__", "."), v) for k, v in attributes.items())
    return metric


def gauge(name: str, value: float, **attributes: str) -> Metric:
    metric = Metric(name=name)
    point = metric.gauge.data_points.add(time_unix_nano=int(END_S * 1e9), as_double=value)
    point.attributes.extend(pair(k.replace("__", "."), v) for k, v in attributes.items())
    return metric


def only(body: bytes, kind: str = "gpu") -> Fragment:
    found = [f for f in decode(body).fragments if f.kind == kind and f.source != "resource"]
    assert len(found) == 1
    return found[0]


def test_a_counter_keeps_its_end_value_and_its_origin() -> None:
    found = only(request(counter("hw.energy", 5.0, hw__id="GPU-1")))
    assert (found.host_id, found.subject_id, found.epoch, found.sequence) == (
        "h1",
        "GPU-1",
        "e1",
        7,
    )
    assert (found.source, found.start_s, found.end_s) == ("nvml", END_S - 60, END_S)
    assert found.values == {"energy_j": 5.0}
    assert found.origins == {"energy_j": ORIGIN_S}


def test_attributes_choose_the_column() -> None:
    name = "joulewise.engine.tokens"
    instance = {"joulewise__instance__id": "i1"}
    body = request(
        counter(name, 3.0, joulewise__token__type="input", **instance),
        counter(name, 4.0, joulewise__token__type="output", **instance),
        scope="joulewise.vllm",
    )
    assert only(body, "instance").values == {"input_tokens": 3.0, "output_tokens": 4.0}


def test_reasons_that_share_a_column_are_added() -> None:
    name = "joulewise.gpu.throttle.time"
    body = request(
        counter(name, 3.0, hw__id="g", joulewise__reason="thermal_sw"),
        counter(name, 4.0, hw__id="g", joulewise__reason="thermal_hw"),
        counter(name, 9.0, hw__id="g", joulewise__reason="sync_boost"),
    )
    assert only(body).values == {"throttle_thermal_s": 7.0, "throttle_other_s": 9.0}


def test_data_parallel_ranks_are_merged_and_tensor_ranks_counted_once() -> None:
    tokens, used = "joulewise.engine.tokens", "joulewise.engine.kv_cache.used_time"
    instance = {"joulewise__instance__id": "i1"}
    output = {"joulewise__token__type": "output", **instance}
    body = request(
        counter(tokens, 3.0, joulewise__rank__data="0", **output),
        counter(tokens, 5.0, joulewise__rank__data="1", **output),
        counter(tokens, 5.0, joulewise__rank__data="1", joulewise__rank__tensor="1", **output),
        counter(used, 10.0, joulewise__rank__data="0", **instance),
        counter(used, 30.0, joulewise__rank__data="1", **instance),
        scope="joulewise.vllm",
    )
    assert only(body, "instance").values == {"output_tokens": 8.0, "kv_used_time_s": 20.0}


def test_a_mig_slice_does_not_stand_for_its_gpu() -> None:
    body = request(
        counter("joulewise.gpu.sm.active_time", 5.0, hw__id="g", joulewise__mig__slice="1")
    )
    assert [f.kind for f in decode(body).fragments] == []


def test_a_histogram_is_cumulative_with_an_infinite_last_bound() -> None:
    metric = Metric(name="gen_ai.server.time_to_first_token")
    metric.histogram.aggregation_temporality = CUMULATIVE
    point = metric.histogram.data_points.add(
        time_unix_nano=int(END_S * 1e9),
        start_time_unix_nano=int(ORIGIN_S * 1e9),
        explicit_bounds=[0.1, 1.0],
        bucket_counts=[2, 3, 1],
        count=6,
        sum=4.5,
    )
    point.attributes.append(pair("joulewise.instance.id", "i1"))
    found = only(request(metric, scope="joulewise.vllm"), "instance")
    assert found.histograms == {"ttft_s": ((0.1, 1.0, math.inf), (2.0, 5.0, 6.0), 4.5)}
    assert found.origins == {histogram_origin("ttft_s"): ORIGIN_S}


def test_info_becomes_a_description_without_its_subject() -> None:
    body = request(gauge("joulewise.gpu.info", 1.0, hw__id="g", hw__model="NVIDIA B200"))
    assert only(body).info == {"hw.model": "NVIDIA B200"}


def test_the_sender_is_known_by_its_first_batch() -> None:
    body = request(gauge("hw.power", 400.0, hw__id="g"))
    sender = next(f for f in decode(body).fragments if f.source == "resource")
    assert (sender.kind, sender.subject_id) == ("agent", "e1")
    assert sender.info == {"host.name": "box", "service.version": "0.1.0"}


def test_each_source_of_an_agent_is_a_fragment_of_its_own() -> None:
    name = "joulewise.agent.source.success"
    body = request(
        gauge(name, 1.0, joulewise__source="nvml"), gauge(name, 0.0, joulewise__source="vllm")
    )
    found = {f.source: f.values for f in decode(body).fragments if f.source != "resource"}
    assert found == {"nvml": {"source_success": 1.0}, "vllm": {"source_success": 0.0}}


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (counter("vllm:tokens_total", 1.0), "unknown metric vllm:tokens_total"),
        (counter("hw.energy", 1.0, temporality=DELTA, hw__id="g"), "hw.energy is not cumulative"),
        (counter("hw.energy", 1.0), "no hw.id"),
        (counter("hw.energy", math.nan, hw__id="g"), "not a finite number"),
        (gauge("hw.power", math.inf, hw__id="g"), "not a finite number"),
        (gauge("hw.energy", 1.0, hw__id="g"), "energy_j sent as gauge"),
        (counter("hw.power", 1.0, hw__id="g"), "power_w sent as sum"),
        (
            counter("gen_ai.server.time_to_first_token", 1.0),
            "gen_ai.server.time_to_first_token sent as sum",
        ),
    ],
)
def test_what_cannot_be_kept_is_counted_and_the_rest_goes_on(metric: Metric, reason: str) -> None:
    decoded = decode(request(metric, gauge("hw.power", 400.0, hw__id="whole")))
    assert decoded.rejected == 1
    assert decoded.reasons == {reason: 1}
    assert any(f.subject_id == "whole" for f in decoded.fragments)


def test_a_resource_without_its_attributes_is_refused_by_name() -> None:
    with pytest.raises(DecodeError, match=r"lacks host\.id, joulewise\.batch\.sequence"):
        decode(
            request(gauge("hw.power", 1.0), **{"host.id": None, "joulewise.batch.sequence": None})
        )


def test_a_window_without_a_length_is_refused() -> None:
    with pytest.raises(DecodeError, match="not a time above 0 s"):
        decode(request(gauge("hw.power", 1.0), **{"joulewise.window.duration": 0.0}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("joulewise.batch.sequence", str(2**63)),
        ("joulewise.batch.sequence", -1),
        ("joulewise.batch.sequence", math.inf),
        ("joulewise.window.duration", 1e300),
        ("joulewise.window.duration", math.nan),
    ],
)
def test_a_batch_that_no_store_could_hold_is_refused(name: str, value: str | float) -> None:
    with pytest.raises(DecodeError, match="cannot be used"):
        decode(request(gauge("hw.power", 1.0, hw__id="g"), **{name: value}))


def test_a_histogram_whose_bounds_do_not_rise_is_not_kept() -> None:
    metric = Metric(name="gen_ai.server.time_to_first_token")
    metric.histogram.aggregation_temporality = CUMULATIVE
    point = metric.histogram.data_points.add(
        time_unix_nano=int(END_S * 1e9), explicit_bounds=[1.0, math.nan], bucket_counts=[2, 3, 1]
    )
    point.attributes.append(pair("joulewise.instance.id", "i1"))
    decoded = decode(request(metric, scope="joulewise.vllm"))
    assert decoded.reasons == {"a histogram whose bounds do not rise": 1}


@pytest.mark.parametrize("cut", [1, 17, 60])
def test_a_truncated_body_is_refused(cut: int) -> None:
    with pytest.raises(DecodeError):
        decode(request(counter("hw.energy", 5.0, hw__id="GPU-1"))[:-cut])


def test_an_empty_request_is_nothing() -> None:
    decoded = decode(b"")
    assert (decoded.fragments, decoded.rejected) == ((), 0)


def test_a_metric_without_data_is_nothing() -> None:
    assert decode(request(Metric(name="hw.energy"))).rejected == 0


def test_a_resource_without_metrics_makes_no_fragment() -> None:
    message = ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics()])
    with pytest.raises(DecodeError):
        decode(message.SerializeToString())
    assert decode(request()).fragments == ()
