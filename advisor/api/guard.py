"""Who may ask, from where: Host and Origin checks, tokens with scopes, CSRF, hardened responses.

Pure ASGI, so that pages, REST and static files stand behind the same door.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from advisor.api.contract import Access
from advisor.api.problem import ApiError, problem_response

TOKEN_COOKIE = "joulewise_token"  # noqa: S105  a cookie's name
CSRF_COOKIE = "joulewise_csrf"
OPEN_PATHS = ("/livez", "/readyz", "/sign-in")
"""What is answered without a token: probes, and what signing in needs."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def host_name(authority: str) -> str:
    """The host of a Host header or an origin's authority, without its port, in lower case."""
    if authority.startswith("["):
        return authority.partition("]")[0].lower() + "]"
    return authority.partition(":")[0].lower()


def _origin_is_ours(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _refusal(scope: Scope, headers: Headers, access: Access) -> tuple[int, str] | None:
    host = host_name(headers.get("host", ""))
    if host not in access.hosts:
        return 400, (
            f"The request names the host '{host}', which is not one of this advisor's; "
            "add it to web.allowed_hosts if it is."
        )
    if scope["method"] not in SAFE_METHODS and not _origin_is_ours(headers):
        return 403, "The request comes from another origin; act from the advisor's own pages."
    return None


def presented_token(headers: Headers) -> str | None:
    """The bearer token of a request, or the one its cookie holds."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return token.strip()
    return cookie(headers, TOKEN_COOKIE)


def cookie(headers: Headers, name: str) -> str | None:
    """One cookie's value; a header that cannot be read holds none."""
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[name].value if name in jar else None


def scopes(headers: Headers, access: Access) -> frozenset[str]:
    """What the request may do. Without tokens the advisor is bound to loopback and open."""
    if access.scopes_of is None:
        return frozenset({"read", "write", "admin"})
    token = presented_token(headers)
    return access.scopes_of(token) if token else frozenset()


def _may_read(path: str, headers: Headers, access: Access) -> bool:
    if path in OPEN_PATHS or path.startswith("/static/"):
        return True
    return bool({"read", "write", "admin"} & scopes(headers, access))


class Guard:
    """Stands before the whole app: refuses what is not ours, marks and hardens every response."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["joulewise.request_id"] = request_id

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                _harden(MutableHeaders(scope=message), request_id)
            await send(message)

        await self._answer(scope, headers)(scope, receive, send_hardened)

    def _answer(self, scope: Scope, headers: Headers) -> ASGIApp:
        request = Request(scope)
        if refusal := _refusal(scope, headers, self.access):
            return problem_response(request, *refusal)
        if not _may_read(scope["path"], headers, self.access):
            return _unauthorized(request, headers)
        return self.app


def _unauthorized(request: Request, headers: Headers) -> ASGIApp:
    if "text/html" in headers.get("accept", "") and request.method == "GET":
        from starlette.responses import RedirectResponse

        return RedirectResponse("/sign-in", 303)
    detail = "A token with the scope 'read' is needed: send 'Authorization: Bearer TOKEN'."
    return problem_response(request, 401, detail, headers={"WWW-Authenticate": "Bearer"})


def _harden(headers: MutableHeaders, request_id: str) -> None:
    headers["x-request-id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if not headers.get("cache-control"):
        headers["cache-control"] = "no-store"


def needs(scope: str) -> Callable[[Request], None]:
    """A dependency that lets only tokens with `scope` (or admin) through."""

    def check(request: Request) -> None:
        held = scopes(request.headers, request.app.state.backing.access)
        if not {scope, "admin"} & held:
            raise ApiError(403, f"This token has no scope '{scope}'; use one that has.")

    return check


class Csrf:
    """Tokens bound to the visitor's cookie by a key that lives as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def token(self, session: str) -> str:
        """The token that forms shown to `session` carry."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def check(self, session: str | None, token: str) -> None:
        """Refuse a form that was not shown to this visitor."""
        if session is None or not hmac.compare_digest(self.token(session), token):
            raise ApiError(403, "The form is from before a restart; go back, reload and try again.")
