"""The OTLP receiver: POST /v1/metrics, answered only after the commit, and its health pages."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from advisor.errors import AdvisorError, DecodeError, OverloadedError
from advisor.receive.commit import CommitQueue
from advisor.receive.otlp import Decoded, decode
from advisor.tokens import Scope, Tokens

log = logging.getLogger(__name__)

PROTOBUF = "application/x-protobuf"
RETRY_AFTER_S = 5

_GRPC_CODES = {400: 3, 401: 16, 403: 7, 413: 3, 415: 3, 503: 14}
"""google.rpc codes that OTLP's error body carries, by HTTP status."""


def create_receiver(
    commits: CommitQueue,
    tokens: Tokens,
    *,
    max_body_bytes: int = 16 * 1024 * 1024,
    is_ready: Callable[[], bool] = lambda: True,
) -> Starlette:
    """The receiver as an ASGI application. `max_body_bytes` counts after decompression."""

    async def export(request: Request) -> Response:
        _check(request, tokens)
        body = await _body(request, max_body_bytes)
        decoded = await asyncio.to_thread(_decoded, body)
        try:
            await asyncio.wrap_future(commits.submit(decoded.fragments))
        except OverloadedError as error:
            raise HTTPException(503, str(error), {"Retry-After": str(RETRY_AFTER_S)}) from error
        except AdvisorError as error:
            log.exception("commit failed")
            raise HTTPException(503, str(error), {"Retry-After": str(RETRY_AFTER_S)}) from error
        return Response(_answer(decoded), media_type=PROTOBUF)

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        usable = commits.is_open and is_ready()
        return PlainTextResponse("ready\n" if usable else "not ready\n", 200 if usable else 503)

    routes = [
        Route("/v1/metrics", export, methods=["POST"]),
        Route("/livez", live),
        Route("/readyz", ready),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


def _check(request: Request, tokens: Tokens) -> None:
    """Refuse what is not allowed or not readable before its body is read."""
    status = tokens.refusal(request.headers.get("authorization"), Scope.INGEST)
    if status == 401:
        raise HTTPException(
            401, "send an ingest token: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
        )
    if status == 403:
        raise HTTPException(403, "this token has no ingest scope; use the agents' token")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != PROTOBUF:
        raise HTTPException(415, f"content type {media or 'absent'!r}; send {PROTOBUF}")
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise HTTPException(415, f"content encoding {encoding!r}; send gzip or none")


async def _body(request: Request, limit: int) -> bytes:
    """The body, decompressed as it arrives and never beyond the limit."""
    is_gzip = request.headers.get("content-encoding", "").lower() == "gzip"
    inflate = zlib.decompressobj(wbits=31) if is_gzip else None
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            part = inflate.decompress(chunk, limit - size + 1) if inflate else chunk
            size += len(part)
            if size > limit:
                raise HTTPException(413, f"the body is over {limit} bytes; send smaller batches")
            parts.append(part)
    except zlib.error as error:
        raise HTTPException(400, f"the body is not gzip: {error}") from error
    if inflate and not inflate.eof:
        raise HTTPException(400, "the gzip body ends early; send it again")
    if inflate and inflate.unused_data:
        raise HTTPException(400, "the gzip body has more than one member; send one")
    return b"".join(parts)


def _decoded(body: bytes) -> Decoded:
    try:
        return decode(body)
    except DecodeError as error:
        raise HTTPException(400, str(error)) from error


def _answer(decoded: Decoded) -> bytes:
    """OTLP's response, with the points that were not kept as partial success."""
    response = ExportMetricsServiceResponse()
    if decoded.rejected:
        response.partial_success.rejected_data_points = decoded.rejected
        reasons = (f"{reason}: {count}" for reason, count in sorted(decoded.reasons.items()))
        response.partial_success.error_message = "; ".join(reasons)[:1000]
    body: bytes = response.SerializeToString()
    return body


async def _refused(_: Request, error: Exception) -> Response:
    """An error as OTLP has it: a google.rpc.Status in protobuf."""
    if not isinstance(error, HTTPException):
        raise error
    body = _status(_GRPC_CODES.get(error.status_code, 2), error.detail)
    return Response(body, error.status_code, error.headers, media_type=PROTOBUF)


def _status(code: int, message: str) -> bytes:
    """google.rpc.Status {1: code, 2: message}, written by hand: its package is not a dependency."""
    text = message.encode()
    length = len(text)
    size = bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return bytes([0x08, code, 0x12, *size]) + text
