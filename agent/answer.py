"""What a receiver's answer means: taken, never to be taken, or to be sent again, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no stubs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

NEVER = {400: "rejected", 413: "too_large", 422: "rejected"}
"""Answers that a repetition cannot change, and what the batch is then dropped as."""
LONGEST_RETRY_AFTER_S = 3600.0

_ADVICE = {
    401: "; check token_file",
    403: "; check the token's scope",
    404: "; check destination.url",
}


def partial_success(response: httpx.Response) -> ExportMetricsPartialSuccess | None:
    """How many points of a taken batch were rejected, and why; None if this is no OTLP answer."""
    answer = ExportMetricsServiceResponse()
    try:
        answer.ParseFromString(response.content)
    except DecodeError:
        return None
    return answer.partial_success


def refusal(response: httpx.Response) -> str:
    """An answer that takes nothing, in words, with the next step where there is a usual one."""
    status = response.status_code
    if location := response.headers.get("location"):
        return f"answered {status}, a redirect to {location}; set destination.url so"
    words = said(response)
    return f"answered {status} {words or response.reason_phrase}" + _ADVICE.get(status, "")


def said(response: httpx.Response) -> str:
    """The receiver's own words: text, or the message of the google.rpc.Status that OTLP asks for.

    A Status has its code and message where a partial success has its count and message, so that no
    further package is needed to read one.
    """
    if not response.headers.get("content-type", "").startswith("application/x-protobuf"):
        return response.text[:200].strip()
    status = ExportMetricsPartialSuccess()
    try:
        status.ParseFromString(response.content)
    except DecodeError:
        return ""
    return str(status.error_message)[:200]


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds the receiver asks us to wait, given as seconds or as a date, bounded to an hour."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        if text.isdecimal():
            wait_s = float(text)
        else:
            wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):  # neither form, or a date without a zone
        return None
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)
