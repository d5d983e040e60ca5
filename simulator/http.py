"""The engines of a simulated node over HTTP on loopback: metrics, version and models."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simulator.fleet import Node
from simulator.host import Host
from simulator.instance import Instance

METRICS_PATH = {"vllm": "/metrics", "trtllm": "/prometheus/metrics"}
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"


class EngineServer(ThreadingHTTPServer):
    """One engine's server on a free loopback port."""

    daemon_threads = True

    def __init__(self, host: Host, instance: Instance) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host, self.instance = host, instance

    @property
    def url(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve from a thread of its own until `shutdown`."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Content type and body of a path, None where the engine has nothing."""
        curve = self.instance.curve
        if path.rstrip("/") == METRICS_PATH[curve.engine]:
            return _TEXT, self.host.page(self.instance.id, time.time())
        if path == "/version":
            return _JSON, json.dumps({"version": self.instance.engine_version}).encode()
        if path == "/v1/models":
            return _JSON, json.dumps(_models(self.instance)).encode()
        if path == "/health":
            return _JSON, b""
        return None


class DcgmServer(EngineServer):
    """The node's dcgm-exporter, for whoever wants to look at it."""

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """The page of all GPUs."""
        return (_TEXT, self.host.dcgm_page(time.time())) if path == "/metrics" else None


def serve(host: Host, node: Node) -> dict[str, EngineServer]:
    """Start a server for each instance; by instance id, and "dcgm" for the GPUs."""
    servers = {instance.id: EngineServer(host, instance) for instance in node.instances}
    servers["dcgm"] = DcgmServer(host, node.instances[0])
    for server in servers.values():
        server.start()
    return servers


def _models(instance: Instance) -> dict[str, Any]:
    model = {
        "id": instance.curve.model,
        "object": "model",
        "owned_by": instance.curve.engine,
        "root": instance.curve.model,
        "parent": None,
        "max_model_len": instance.served.max_model_length,
    }
    return {"object": "list", "data": [model]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EngineServer

    def do_GET(self) -> None:
        found = self.server.answer(self.path.partition("?")[0])
        content_type, body = found or (_JSON, b'{"error": "not found"}')
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing: one line a scrape would be noise."""
