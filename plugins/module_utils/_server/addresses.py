# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a server's name, and which of them takes a connection. Apart from ``session``, whose library takes
a while to load."""

from __future__ import annotations

import contextlib
import errno
import queue
import select
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import RelevoError

#: For how many seconds an earlier address of a name is still waited for once a later one has taken a connection.
HEAD_START = 0.5
#: The address that was chosen last, by name and port: one that a firewall drops is not waited for each time.
_chosen: dict[tuple[str, int], str] = {}


class NotReached(RelevoError):
    """No connection can be tried: the name has no address, or none of several answered in time."""


@dataclass(frozen=True)
class Address:
    """One address of a name. ``to``: as ``socket`` connects to it; its first part is the address itself."""

    family: int
    to: tuple[Any, ...]

    @property
    def host(self) -> str:
        return str(self.to[0])


def resolve(host: str, port: int, timeout: float) -> list[Address]:
    """The addresses of ``host``, in the order in which the system prefers them.

    ``getaddrinfo`` knows no deadline: it runs in a thread that may be left behind.
    """
    answer: queue.Queue[list[Address] | OSError] = queue.Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put([Address(int(one[0]), one[4]) for one in found])
        except OSError as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        result = answer.get(timeout=timeout)
    except queue.Empty:
        raise NotReached(f"the name {host} was not resolved within {timeout:g} s") from None
    if isinstance(result, OSError):
        raise NotReached(f"the name {host} does not resolve ({result.strerror or result})")
    return result


def reach(host: str, port: int, timeout: float) -> str:
    """The address of ``host`` to connect to: its only one, or of several the first that takes a connection.

    libpq would try them one after another, each for as long as its connection takes to fail: two minutes at one that a
    firewall drops. Here they are tried at once. Where all of them refuse it is the first, so that libpq has its words.
    """
    deadline = time.monotonic() + timeout
    found = resolve(host, port, timeout)
    if len(found) == 1:
        return found[0].host
    before = _chosen.get((host, port))
    found.sort(key=lambda one: one.host != before)
    chosen, refused = first_open(found, deadline)
    if chosen is None and refused:
        chosen = found[0]
    if chosen is None:
        raise NotReached(f"{host}: none of its addresses ({', '.join(one.host for one in found)}) answered in time")
    _chosen[host, port] = chosen.host
    return chosen.host


def listening(host: str, port: int, timeout: float) -> str | None:
    """The address at which somebody takes a connection within ``timeout`` seconds; no client library is needed for
    that. The name has as long again."""
    try:
        found = resolve(host, port, timeout)
    except NotReached:
        return None
    chosen, _refused = first_open(found, time.monotonic() + timeout)
    return chosen.host if chosen else None


def first_open(addresses: Sequence[Address], deadline: float) -> tuple[Address | None, bool]:
    """The first that takes a connection, or None; and whether each of the others refused, rather than say nothing."""
    waiting: dict[socket.socket, int] = {}
    best, limit = len(addresses), deadline
    with contextlib.ExitStack() as opened:
        for number, address in enumerate(addresses):
            try:
                one = opened.enter_context(socket.socket(address.family, socket.SOCK_STREAM))
            except OSError:
                continue  # The system does not know that family.
            one.setblocking(False)
            if one.connect_ex(address.to) in (0, errno.EINPROGRESS):
                waiting[one] = number
        while waiting and min(waiting.values()) < best:
            ready = select.select([], list(waiting), [], max(0.0, limit - time.monotonic()))[1]
            if not ready:
                break
            for one in ready:
                number = waiting.pop(one)
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and number < best:
                    best, limit = number, min(limit, time.monotonic() + HEAD_START)
    return (addresses[best] if best < len(addresses) else None), not waiting


class Listener:
    """Listens to a server that it asks nothing, beside whoever asks it: by its address and ``port``, or its socket.

    One that gets no process for a new connection says so at once, and that is an error of an older protocol: "E" and a
    text (postmaster.c, report_fork_failure_to_client). Any other waits until it is asked something.
    """

    #: Seconds after the beginning in which that arrives, at least; after the question has been answered, the least.
    AT_ONCE, AFTERWARDS = 0.3, 0.05

    def __init__(self, address: str, port: int | None = None) -> None:
        self._began = time.monotonic()
        self._socket: socket.socket | None = None
        family = socket.AF_UNIX if port is None else socket.AF_INET6 if ":" in address else socket.AF_INET
        # Nobody listens, or the system does not know that family: then nothing is heard.
        with contextlib.suppress(OSError):
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._socket.connect_ex(address if port is None else (address, port))

    def heard_error(self) -> bool:
        """Whether it says an error."""
        if self._socket is None:
            return False
        wait = max(self.AFTERWARDS, self.AT_ONCE - (time.monotonic() - self._began))
        if not select.select([self._socket], [], [], wait)[0]:
            return False
        try:
            return self._socket.recv(1) == b"E"
        except OSError:
            return False

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._socket is not None:
            self._socket.close()
