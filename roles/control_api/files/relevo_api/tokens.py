# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: named, with a scope, stored as a hash. The file is read again when it has changed: nothing restarts."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from .files import locked, read_json, write_json

#: Each scope contains the ones before it.
SCOPES = ("read", "operate", "destroy")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
PREFIX = "relevo"


class Token(BaseModel):
    """``digest`` is SHA-256 of 256 random bits: nothing that could be guessed, so nothing that has to be slow."""

    name: str
    scope: str
    digest: str
    made: str

    def allows(self, scope: str) -> bool:
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


class TokenError(Exception):
    """A sentence for who typed the command."""


def digest_of(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


class Tokens:
    """The tokens of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._known: list[Token] = []

    def all(self) -> list[Token]:
        try:
            state = self.path.stat()
        except FileNotFoundError:
            self._known, self._seen = [], None
            return []
        seen = (state.st_mtime_ns, state.st_ino)
        if seen != self._seen:
            self._known = [Token.model_validate(one) for one in read_json(self.path)]
            self._seen = seen
        return self._known

    def find(self, word: str) -> Token | None:
        """The token of a word; each is compared, in a time that tells nothing."""
        digest = digest_of(word)
        found = None
        for one in self.all():
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def make(self, name: str, scope: str) -> str:
        """Make a token and return its word, which is nowhere else. A name that exists gets a new word."""
        if not NAME.fullmatch(name):
            raise TokenError(f"{name!r} cannot be a token's name. Take up to 40 of a-z, 0-9, '.', '_' and '-'.")
        if scope not in SCOPES:
            raise TokenError(f"There is no scope {scope}. Take {', '.join(SCOPES)}; each contains those before it.")
        word = f"{PREFIX}_{name}_{secrets.token_urlsafe(32)}"
        made = datetime.now(UTC).isoformat(timespec="seconds")
        with self._changed() as known:
            known[:] = [one for one in known if one.name != name]
            known.append(Token(name=name, scope=scope, digest=digest_of(word), made=made))
        return word

    def revoke(self, name: str) -> None:
        with self._changed() as known:
            if name not in [one.name for one in known]:
                names = ", ".join(one.name for one in known) or "none"
                raise TokenError(f"There is no token {name}. There are: {names}.")
            known[:] = [one for one in known if one.name != name]

    def _changed(self) -> _Change:
        return _Change(self)


class _Change:
    """The list under a lock; it is written when nothing was raised."""

    def __init__(self, tokens: Tokens) -> None:
        self.path = tokens.path
        self.known = tokens.all
        self.lock = locked(tokens.path.with_name(f".{tokens.path.name}.lock"))

    def __enter__(self) -> list[Token]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lock.__enter__()
        self.list = list(self.known())
        return self.list

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None:
            write_json(self.path, [one.model_dump() for one in self.list])
        self.lock.__exit__(None, None, None)
