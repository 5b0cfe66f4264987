# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients that ask the same server at once, each over a connection that it keeps, as load balancers do.

Not with httpx: a request of it costs more of a core than the answer, so it would measure itself. What is understood is
what our own server says: a status line, headers with a Content-Length, and a body.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
END_OF_HEADERS = b"\r\n\r\n"
#: Seconds after which an answer does not come any more.
PATIENCE_S = 30.0


@dataclass
class Heard:
    """What the clients were told. ``seconds`` are those of each answer, ``answers`` how often each status came by path,
    ``errors`` what happened in place of an answer.
    """

    seconds: list[float] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


def status_of(head: bytes) -> int:
    """The status of an answer's first line. Raises ValueError."""
    version, _blank, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise ValueError(f"no answer of HTTP: {head[:40]!r}")
    return int(rest[:3])


def whole(received: bytes) -> int | None:
    """The status of an answer that has arrived whole; None when more of it is to come. Raises ValueError."""
    head, end, body = received.partition(END_OF_HEADERS)
    if not end:
        return None
    # A 204 or a 304 has none, and no body either.
    length = LENGTH.search(head + b"\r\n")
    return status_of(head) if len(body) >= (int(length[1]) if length else 0) else None


class Client(asyncio.Protocol):
    """One connection: a question, its answer, and the next question."""

    def __init__(self) -> None:
        self.received, self.came = b"", 0.0
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.answer.done():
            return
        try:
            if (status := whole(self.received)) is not None:
                self.came = time.perf_counter()
                self.answer.set_result(status)
        except ValueError as error:
            self.answer.set_exception(error)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectionResetError("the connection was closed"))

    def _give_up(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(TimeoutError(f"no answer within {PATIENCE_S:g} s"))

    async def ask(self, question: bytes) -> tuple[int, float]:
        """The status, and the seconds until the answer was there."""
        loop = asyncio.get_running_loop()
        self.received, self.answer = b"", loop.create_future()
        # Far cheaper than wait_for, and there are thousands per second.
        patience = loop.call_later(PATIENCE_S, self._give_up)
        asked = time.perf_counter()
        self.transport.write(question)
        try:
            return await self.answer, self.came - asked
        finally:
            patience.cancel()


def question_of(path: str, method: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


async def _one(port: int, questions: Mapping[str, bytes], until: float, pause_s: float, heard: Heard) -> None:
    """A client until a moment of the loop's clock; what goes wrong is counted, and it connects again."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(random.uniform(0, pause_s))
    client: Client | None = None
    paths = list(questions)
    number = random.randrange(len(paths))
    while loop.time() < until:
        path, number = paths[number % len(paths)], number + 1
        try:
            if client is None:
                _transport, client = await loop.create_connection(Client, "127.0.0.1", port)
            status, seconds = await client.ask(questions[path])
            heard.seconds.append(seconds)
            heard.answers[path, status] += 1
        except (OSError, ValueError, TimeoutError) as error:
            heard.errors[f"{type(error).__name__}: {error}"] += 1
            if client:
                client.transport.abort()
            client = None
            await asyncio.sleep(0.05)
        if pause_s:
            await asyncio.sleep(pause_s)
    if client:
        client.transport.close()


def ask(
    port: int, paths: Sequence[str], clients: int, seconds: float, pause_s: float = 0.0, method: str = "OPTIONS"
) -> Heard:
    """Have ``clients`` ask for ``paths`` in turn for ``seconds``, each with ``pause_s`` between answer and question.

    ``method``: HAProxy asks with OPTIONS (``option httpchk OPTIONS /nodes/NAME/primary``).
    """
    heard, questions = Heard(), {path: question_of(path, method) for path in paths}

    async def all_of_them() -> None:
        until = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(*(_one(port, questions, until, pause_s, heard) for _ in range(clients)))

    # In a thread of its own: Playwright leaves the loop of its browser running in the one of the tests.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, all_of_them()).result()
    return heard
