# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request passes before anything else: the server's name, how often, how large, how slow."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import host_of
from .problems import Problem, problem, response_of
from .settings import Settings

#: Load balancers ask every node every second, some of them without a Host header.
EVERYBODY = ("/nodes/", "/healthz")
#: Addresses that are remembered: an attacker has many, and the memory is ours.
REMEMBERED = 10000
#: Seconds in which refusals of one address are counted.
REFUSAL_S = 60.0

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass
class Bucket:
    left: float
    seen: float


class Buckets:
    """How many requests each address has left; they come back at ``rate`` per second up to ``burst``.

    None has less than none: whatever an address did, it waits for one request at most.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self.clock = rate, burst, clock
        self.known: OrderedDict[str, Bucket] = OrderedDict()

    def _of(self, address: str) -> Bucket:
        now = self.clock()
        bucket = self.known.pop(address, None) or Bucket(self.burst, now)
        bucket.left = min(self.burst, bucket.left + (now - bucket.seen) * self.rate)
        bucket.seen = now
        self.known[address] = bucket
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return bucket

    def wait_s(self, address: str) -> float:
        """0 when there is one left, otherwise how long it takes until there is."""
        bucket = self._of(address)
        return 0.0 if bucket.left >= 1 else (1 - bucket.left) / self.rate

    def take(self, address: str) -> None:
        bucket = self._of(address)
        bucket.left = max(0.0, bucket.left - 1)


class TooLarge(Exception):
    pass


class Gone(Exception):
    pass


class Guard:
    """ASGI middleware. It reads a body itself, so that no route waits for one that never comes."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        limits = settings.limits
        self.requests = Buckets(limits.rate, limits.burst)
        self.refusals = Buckets(limits.refusals / REFUSAL_S, limits.refusals)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        if scope["path"].startswith(EVERYBODY):
            # What no limit holds back fills none either: a monitor without a token would lock its machine out.
            await self.app(scope, receive, self._watched(send))
            return
        watched = self._watched(send, address)
        refusal = self._refusal(scope, address)
        if refusal is None:
            try:
                body = await asyncio.wait_for(self._body(receive), self.settings.limits.body_s)
            except TimeoutError:
                refusal = problem(
                    408,
                    f"The request's body did not arrive within {self.settings.limits.body_s:g} s.",
                    check="time",
                    wanted="the whole body at once",
                )
            except TooLarge:
                limit = self.settings.limits.body_bytes
                refusal = problem(413, f"The body is larger than {limit} bytes.", check="size", wanted="less")
            except Gone:
                return
        if refusal is not None:
            headers = {"Retry-After": "1", "Connection": "close"} if refusal.status != 421 else None
            await response_of(refusal, self.settings.url, headers)(scope, receive, watched)
            return
        await self.app(scope, _replay(body, receive), watched)

    def _refusal(self, scope: Scope, address: str) -> Problem | None:
        headers = Headers(scope=scope)
        name = host_of(headers.get("host", ""))
        if name not in self.settings.allowed_hosts:
            return problem(
                421,
                f"This server does not answer under the name {name or '(none)'} (control_api_allowed_hosts).",
                check="host",
                found=name,
                wanted=", ".join(self.settings.allowed_hosts),
            )
        wait = max(self.requests.wait_s(address), self.refusals.wait_s(address))
        if wait > 0:
            return problem(429, f"Too many requests from {address}.", check="rate", wanted=f"a pause of {wait:.1f} s")
        self.requests.take(address)
        return None

    async def _body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.settings.limits.body_bytes:
                raise TooLarge
            if not message.get("more_body"):
                return b"".join(parts)

    def _watched(self, send: Send, counted: str | None = None) -> Send:
        """``counted``: the address whose refusals are counted."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 401 and counted is not None:
                    self.refusals.take(counted)
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        return watched


def _replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """The body once more, and after it what comes from the connection: that the client has gone."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
