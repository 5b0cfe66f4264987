# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, and whether they may: tokens, and the few paths that need none."""

from __future__ import annotations

import ipaddress
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request

from .problems import error
from .settings import Settings
from .tokens import SCOPES, Tokens

#: A proxy, or somebody who wants to look like one, adds one of these.
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
CHALLENGE = {"WWW-Authenticate": "Bearer"}
SOURCE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Caller:
    """``name`` is that of the token; whoever needs none is called after where they are."""

    name: str
    scope: str
    address: str


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def host_of(header: str) -> str:
    """The name of a Host header or an Origin, without its port: ``[::1]:8088`` is ``::1``. Empty for others."""
    try:
        return (urlsplit(header if "//" in header else f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def is_within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in networks)


LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]


def legacy_refusal(settings: Settings, address: str, headers: Mapping[str, str]) -> str:
    """Why the three old endpoints are not open to a request without a token; empty when they are.

    ``headers``: lower-case names.
    """
    if not settings.open_legacy:
        return "This server wants a token for every operation (control_api_open_legacy is false)."
    if not is_within(address, LOOPBACK):
        return f"Without a token only this machine itself may ask, and {address} is another."
    if any(name in headers for name in FORWARDED):
        return "Without a token no forwarded request is taken."
    if host_of(headers.get("host", "")) not in settings.allowed_hosts:
        return "The Host header is not a name of this server (control_api_allowed_hosts)."
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "A browser sent this from a page of another site."
    origin = headers.get("origin")
    # Another port of this machine is another site. A browser writes both in the same way.
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        return "A browser sent this from a page of another site."
    return ""


class Access:
    """Tells who asks. A dependency of the routes: each says the scope that it wants."""

    def __init__(self, settings: Settings, tokens: Tokens, settings_file: Path) -> None:
        self.settings = settings
        self.settings_file = settings_file
        self.tokens = tokens

    def caller(self, request: Request) -> Caller | None:
        """Who has a valid token; None where there is no Authorization header. Raises 401 for a bad one."""
        given = request.headers.get("authorization")
        if given is None:
            return None
        scheme, _blank, word = given.partition(" ")
        token = self.tokens.find(word.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise self.unknown("The token is not one of this server's, or it has been revoked.")
        return Caller(token.name, token.scope, address_of(request))

    def require(self, request: Request, scope: str) -> Caller:
        caller = self.caller(request)
        if caller is None:
            raise self.unknown("There is no token in the request.", scope)
        self.demand(caller, scope)
        return caller

    def demand(self, caller: Caller, scope: str) -> None:
        if SCOPES.index(caller.scope) < SCOPES.index(scope):
            raise error(
                403,
                f"The token {caller.name} has the scope {caller.scope}, and this needs {scope}.",
                check="scope",
                found=caller.scope,
                wanted=scope,
                command=self.how_to_make(scope),
            )

    def require_legacy(self, request: Request, scope: str) -> Caller:
        """A token, or one of those to whom the old endpoints are open."""
        if caller := self.caller(request):
            self.demand(caller, scope)
            return caller
        why = legacy_refusal(self.settings, address_of(request), request.headers)
        if why:
            raise error(
                403 if self.settings.open_legacy else 401,
                why,
                headers=None if self.settings.open_legacy else CHALLENGE,
                check="legacy",
                wanted="a token, or a request of this machine itself",
                command=self.how_to_make(scope),
            )
        return Caller("local", scope, address_of(request))

    def unknown(self, why: str, scope: str = "read") -> Exception:
        return error(
            401,
            why,
            headers=CHALLENGE,
            check="token",
            wanted=f"Authorization: Bearer TOKEN, of the scope {scope}",
            command=self.how_to_make(scope),
        )

    def how_to_make(self, scope: str) -> str:
        """The command that makes a token, for whoever may read the settings; it needs nothing but a name."""
        words = [
            "env",
            f"PYTHONPATH={SOURCE}",
            sys.executable,
            "-m",
            "relevo_api",
            "--settings",
            str(self.settings_file),
        ]
        return shlex.join([*words, "token", "make", "NAME", "--scope", scope])

    def may_ask_health(self, request: Request) -> bool:
        if is_within(address_of(request), self.settings.health_from):
            return True
        return self.caller(request) is not None
