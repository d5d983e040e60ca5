"""Bearer tokens: kept as hashes with scopes, compared in constant time, never shown."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from advisor.errors import SettingsError


class Scope(StrEnum):
    """What a token allows. `admin` includes the others; `write` includes `read`."""

    INGEST = "ingest"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_IMPLIED = {
    Scope.INGEST: frozenset({Scope.INGEST}),
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.WRITE, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept: a name to speak of it, the SHA-256 of its text, and its scopes."""

    name: str
    sha256: str
    scopes: frozenset[Scope]


def new_secret() -> str:
    """A fresh token's text, 256 bits."""
    return f"jw_{secrets.token_urlsafe(32)}"


def hashed(text: str) -> str:
    """How a token is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def token(name: str, text: str, scopes: Iterable[Scope]) -> Token:
    """A token from its text; the text itself is forgotten."""
    return Token(name, hashed(text), frozenset(scopes))


def token_from_file(name: str, path: Path, scopes: Iterable[Scope]) -> Token:
    """The token in a file, its first line without surrounding blanks.

    Raises:
        SettingsError: the file cannot be read, or holds no token of at least 16 characters.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the {name} token file {path}: {error}") from error
    text = lines[0].strip() if lines else ""
    if len(text) < 16:
        raise SettingsError(
            f"the {name} token file {path} holds no token of at least 16 characters. "
            f"Write one: joulewise token > {path}"
        )
    return token(name, text, scopes)


class Tokens:
    """The tokens an advisor knows."""

    def __init__(self, known: Iterable[Token] = ()) -> None:
        self._known = tuple(known)

    def grants(self, scope: Scope) -> bool:
        """Whether any token grants this scope; if none does, the scope needs no token."""
        return any(scope in _allowed(one) for one in self._known)

    def scopes(self, token: str) -> frozenset[Scope]:
        """What a presented text allows; nothing if it is no token. Every known one is compared."""
        digest = hashed(token)
        found = [_allowed(one) for one in self._known if hmac.compare_digest(one.sha256, digest)]
        return frozenset().union(*found)

    def refusal(self, authorization: str | None, scope: Scope) -> int | None:
        """None if a request with this Authorization header may pass, else 401 or 403."""
        if not self.grants(scope):
            return None
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            return 401
        allowed = self.scopes(text.strip())
        if scope in allowed:
            return None
        return 403 if allowed else 401


def _allowed(one: Token) -> frozenset[Scope]:
    return frozenset().union(*(_IMPLIED[scope] for scope in one.scopes))
