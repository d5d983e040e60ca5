"""A page over HTTP with a time limit, a size limit and a bearer token from a file."""

from __future__ import annotations

import ssl
import time
from functools import cache
from pathlib import Path
from typing import Self

import httpx

from agent.errors import NoData

MAX_BYTES = 8 * 1024 * 1024
"""Largest page taken: sixteen data ranks of an engine write about one megabyte."""


class HttpFetch:
    """Fetches one address again and again over a kept connection.

    The token file is read at each fetch, so that a renewed token needs no restart.
    """

    def __init__(self, url: str, *, timeout_s: float, token_file: Path | None = None) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._token_file = token_file
        self._client: httpx.Client | None = None

    def __call__(self) -> bytes:
        """The body.

        Raises:
            NoData: nobody answers, the answer is an error or larger than MAX_BYTES.
        """
        if self._client is None:
            trust = _trust(secure=self.url.startswith("https:"))
            self._client = httpx.Client(timeout=self._timeout_s, trust_env=False, verify=trust)
        end_s = time.monotonic() + self._timeout_s
        try:
            with self._client.stream("GET", self.url, headers=self._headers()) as response:
                self._refuse_error(response)
                return self._body(response, end_s)
        except httpx.HTTPError as error:
            raise NoData(
                f"reading {self.url}: {type(error).__name__}: {error}; is it running there?"
            ) from error

    def close(self) -> None:
        """Give the connection back; the next fetch opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _headers(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_text().strip()
        except OSError as error:
            raise NoData(
                f"reading {self.url}: token file {self._token_file}: {error.strerror}; "
                "let the agent's user read it"
            ) from error
        return {"Authorization": f"Bearer {token}"}

    def _refuse_error(self, response: httpx.Response) -> None:
        if response.status_code == httpx.codes.OK:
            return
        hint = {
            401: "give a token_file",
            403: "give a token_file that may read it",
            404: "the program there does not expose metrics at this path, or has them switched off",
        }.get(response.status_code, "see the log of the program there")
        raise NoData(f"reading {self.url}: HTTP {response.status_code}; {hint}")

    def _body(self, response: httpx.Response, end_s: float) -> bytes:
        """All of it, unless it is too large or comes too slowly: the client's limit is a read's."""
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise NoData(
                    f"reading {self.url}: the answer is larger than {MAX_BYTES} bytes; "
                    "is this a metrics page?"
                )
            if time.monotonic() > end_s:
                raise NoData(
                    f"reading {self.url}: the answer took longer than {self._timeout_s:g} s; "
                    "raise timeout_s if the program is only busy"
                )
        return bytes(body)


@cache
def _trust(*, secure: bool) -> ssl.SSLContext:
    """One context for all fetches; without TLS one that trusts nobody and costs no memory."""
    return ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
