"""Spooled batches become acknowledged ones: POST, read the verdict, settle it with the spool.

The same bytes are sent until the receiver answers for them. It keeps one of each epoch and number,
so that a crash between its commit and our acknowledgement loses nothing and doubles nothing.
"""

from __future__ import annotations

import logging
import random
import ssl
from dataclasses import dataclass

import httpx

from agent.answer import NEVER, partial_success, refusal, retry_after_s, said
from agent.errors import DeliveryError, SettingsError, SpoolError
from agent.events import event
from agent.otlp import Resource, encode
from agent.settings import Destination
from agent.spool import Batch, Spool

__all__ = ["Resource", "ShipResult", "Shipper", "encode"]

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class ShipResult:
    """What one round did; `failure` says why it stopped early, `wait_s` when to try again."""

    acknowledged: int = 0
    dropped: int = 0
    rejected_points: int = 0
    failure: str | None = None
    wait_s: float = 0.0


class Shipper:
    """Sends one spool to one destination; used by one thread.

    A round is the newest batch, then a bounded number of old ones: a node that was cut off is seen
    again at once, and a thousand of them do not drown the receiver with what they missed.
    """

    def __init__(self, spool: Spool, destination: Destination) -> None:
        self._spool = spool
        self._destination = destination
        self._url = _metrics_url(destination.url)
        self._client = httpx.Client(
            verify=_tls(destination),
            timeout=destination.timeout_s,
            headers={
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "gzip",
                "User-Agent": "joulewise-agent",
            },
        )
        self._token: str | None = None
        self._tried = 0
        self._failures = 0
        self._rejected_points = 0

    def ship_once(self) -> ShipResult:
        """Send one round. Never raises for what the network, the receiver or the disk do."""
        acknowledged = dropped = rejected_points = 0
        try:
            for batch in self._round():
                self._tried = batch.sequence
                reason, points = self._deliver(batch)
                acknowledged += reason is None
                dropped += reason is not None
                rejected_points += points
                self._succeeded()
        except (DeliveryError, SpoolError) as error:
            wait_s = self._failed(error)
            return ShipResult(acknowledged, dropped, rejected_points, str(error), wait_s)
        return ShipResult(acknowledged, dropped, rejected_points)

    def close(self) -> None:
        """Give back the connections; the spool stays with its owner."""
        self._client.close()

    def _round(self) -> list[Batch]:
        name, limit = self._destination.name, self._destination.backlog_batches
        newest = self._spool.pending(1, destination=name, newest_first=True)
        backlog = self._spool.pending(limit, destination=name, after=self._tried)
        if not backlog:  # once around: what was refused before gets its next chance
            backlog = self._spool.pending(limit, destination=name)
        return newest + [batch for batch in backlog if batch not in newest]

    def _deliver(self, batch: Batch) -> tuple[str | None, int]:
        """Settle one batch: why it was dropped, if it was, and how many points were refused."""
        response = self._post(batch)
        reason = NEVER.get(response.status_code)
        if reason is not None:
            self._drop(batch, reason, response)
            return reason, 0
        points = self._rejected(response)
        self._spool.acknowledge(batch.sequence, destination=self._destination.name)
        return None, points

    def _post(self, batch: Batch) -> httpx.Response:
        """Send; a token that was changed on disk is used at once. Raises DeliveryError."""
        token = self._token = self._token or self._read_token()
        response = self._exchange(batch, token)
        if response.status_code == 401:
            self._token = self._read_token()
            if self._token != token:
                response = self._exchange(batch, self._token)
        return response

    def _exchange(self, batch: Batch, token: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            return self._client.post(self._url, content=batch.body, headers=headers)
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            raise DeliveryError(
                f"sending to {self._url}: {cause}; batches wait in the spool"
            ) from error

    def _rejected(self, response: httpx.Response) -> int:
        """Points the receiver refused of a batch it took. Raises DeliveryError if it took none."""
        if not response.is_success:
            raise DeliveryError(
                f"sending to {self._url}: {refusal(response)}; batches wait in the spool",
                wait_s=retry_after_s(response),
            )
        partial = partial_success(response)
        if partial is None:
            raise DeliveryError(
                f"sending to {self._url}: answered, but not as an OTLP receiver does; "
                "check destination.url"
            )
        points = partial.rejected_data_points
        if points and not self._rejected_points:
            event(
                logging.WARNING,
                "points rejected, further ones are only counted",
                points=points,
                destination=self._destination.name,
                answer=partial.error_message[:200],
            )
        self._rejected_points += points
        return points

    def _drop(self, batch: Batch, reason: str, response: httpx.Response) -> None:
        self._spool.drop(batch.sequence, reason, destination=self._destination.name)
        event(
            logging.WARNING,
            "batch dropped",
            reason=reason,
            sequence=batch.sequence,
            destination=self._destination.name,
            status=response.status_code,
            answer=said(response),
        )

    def _failed(self, error: DeliveryError | SpoolError) -> float:
        """Seconds until the next attempt: what was asked for, or longer after each failure."""
        if not self._failures:
            event(
                logging.WARNING, "delivery failed", destination=self._destination.name, cause=error
            )
        self._failures += 1
        asked_s = error.wait_s if isinstance(error, DeliveryError) else None
        if asked_s is not None and asked_s >= _FIRST_WAIT_S:
            return asked_s * random.uniform(1.0, 1.1)
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self._failures - 1, 30))
        return wait_s * random.uniform(0.5, 1.0)

    def _succeeded(self) -> None:
        if self._failures:
            event(logging.INFO, "delivery resumed", destination=self._destination.name)
        self._failures = 0

    def _read_token(self) -> str | None:
        path = self._destination.token_file
        if path is None:
            return None
        try:
            return path.read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is no plain text"
            raise DeliveryError(
                f"reading the token file {path}: {cause}; batches wait in the spool"
            ) from error


def _metrics_url(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/v1/metrics") else f"{url}/v1/metrics"


def _tls(destination: Destination) -> ssl.SSLContext:
    """Trust and identity of one destination. Raises SettingsError for files that do not serve."""
    if not destination.url.lower().startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and loads nobody
    try:
        context = ssl.create_default_context(cafile=destination.ca_file)
        if destination.client_certificate_file and destination.client_key_file:
            context.load_cert_chain(
                destination.client_certificate_file, destination.client_key_file
            )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"loading the certificates of destination {destination.name}: {error}; "
            "check ca_file, client_certificate_file and client_key_file"
        ) from error
    return context
