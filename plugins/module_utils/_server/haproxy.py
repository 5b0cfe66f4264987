# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether HAProxy on this host works with what was written for it, and how it is made to.

Its master takes USR2 and says nothing of what becomes of it: a worker that cannot begin (a port that somebody else has,
a certificate that does not fit its key) leaves the old one at work, with the old files. So the worker itself is asked,
at its stats socket, which process it is: what it has read is what was there when that began.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import _names
from .._durable import replace_file
from .._errors import RelevoError
from .._wait import wait_until
from . import certificate, reading

READER = reading.READERS["haproxy"]
PROGRAM = Path("/usr/sbin/haproxy")
#: As haproxy.cfg.j2 has it: under systemd, whose unit makes the directory, and in our container.
SOCKETS = (Path("/run/relevo-haproxy/relevo-haproxy.sock"), Path("/run/relevo-haproxy.sock"))
#: Where a line of a server has its port: "show servers state" in HAProxy's management guide.
_PORT = 18
#: What it reads when it begins. Its program is one of them: told to read its files, the master starts that anew.
FILES = (
    *(_names.CONFIG_DIR / "haproxy.cfg", _names.CA_FILE, _names.CERTIFICATE, _names.PRIVATE_KEY),
    PROGRAM,
)
#: What the worker after a reload is told of its servers by the one before it, and that this is nothing: at any other
#: start an old file would say what was true once. As haproxy.cfg.j2 has it.
SERVERS = _names.CONFIG_DIR / "haproxy.servers"
NOTHING = "1\n"
#: By how much a process's start (clock ticks, cut off) may seem earlier than it was.
TICK = 0.02


@dataclass(frozen=True)
class State:
    """``master``: its process, None while it is down. ``began``: when the worker that answers did, None without one.
    ``written``: when the newest of its files came to be where it is. ``told``: when it was last seen to have read."""

    master: int | None
    began: float | None
    written: float | None
    told: float | None
    master_began: float | None = None

    @property
    def owed(self) -> bool:
        """Whether it runs and works with older files than those that are there."""
        if self.master is None:
            return False
        # One that does not answer yet has just begun, with what was there then.
        began = self.began if self.began is not None else self.master_began
        return reading.is_owed(self.written, None if began is None else began + TICK, self.told)


def pid_in(info: str) -> int | None:
    """The number of the worker in what ``show info`` printed."""
    found = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    return int(found["Pid"]) if found.get("Pid", "").isdecimal() else None


def _servers(config: str) -> Iterator[tuple[str, str, str]]:
    """The backend, the name and the port of each server of a configuration of ours, as haproxy.cfg.j2 writes them."""
    backend = ""
    for words in (line.split() for line in config.splitlines()):
        if words[:1] == ["backend"]:
            backend = words[1]
        elif words[:1] == ["server"]:
            yield backend, words[1], words[2].rpartition(":")[2]


def carried(states: str, config: str) -> str:
    """What a worker may be told of its servers: of what ``show servers state`` printed, what fits the configuration.

    The address is none of it (``init-addr``), but HAProxy would go on with the port of before.
    """
    places = set(_servers(config))
    rows = [line.split() for line in states.splitlines()]
    kept = [row for row in rows if len(row) > _PORT and (row[0] == "#" or (row[1], row[3], row[_PORT]) in places)]
    return NOTHING + "".join(f"{' '.join(row)}\n" for row in kept)


def _remember(sockets: Sequence[Path] = SOCKETS) -> None:
    """For the worker that is about to begin."""
    states = "".join(ask(path, "show servers state") for path in sockets)
    config = FILES[0]
    _tell(carried(states, config.read_text() if config.exists() else ""))


def _tell(text: str) -> None:
    if not SERVERS.exists() or SERVERS.read_text() != text:
        replace_file(SERVERS, text, 0o600, None)


def ask(path: Path, question: str = "show info", timeout: float = 2) -> str:
    """What the worker behind a socket says; empty where nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(timeout)
            asked.connect(str(path))
            asked.sendall(f"{question}\n".encode())
            return b"".join(iter(lambda: asked.recv(65536), b"")).decode(errors="replace")
    except OSError:
        return ""


def worker_began(sockets: Sequence[Path] = SOCKETS) -> float | None:
    """When the worker that answers began, in seconds since 1970."""
    for path in sockets:
        pid = pid_in(ask(path))
        if pid is not None:
            return reading.started(pid)
    return None


def look(sockets: Sequence[Path] = SOCKETS, files: Sequence[Path] = FILES) -> State:
    master = reading.process_of(READER)
    return State(
        master,
        worker_began(sockets) if master is not None else None,
        reading.when_written(files),
        reading.when_told(READER),
        reading.started(master) if master is not None else None,
    )


def bring(timeout: float, check_mode: bool = False) -> bool:
    """Let it read what was written, and wait for the worker that has; returns whether that was owed.

    Noted only then: where the new worker does not come, the next run tries again.
    """
    state = look()
    if check_mode:
        return state.owed
    if state.master is not None and state.began is None:
        # A signal before it has begun to look for it would end a master that has just been started.
        try:
            _wait(0, timeout)
        except RelevoError:
            if not state.owed:
                raise
        state = look()
    if state.master is None:
        reading.note_that_it_is_down(READER)
    elif state.owed:
        _remember()
        now = time.time()
        os.kill(state.master, READER.reload)
        try:
            _wait(now - TICK, timeout)
        finally:
            _tell(NOTHING)
        reading.note_that_it_knows(READER)
    if not state.owed and SERVERS.exists():
        # A run that was killed has left what it was about to tell.
        _tell(NOTHING)
    return state.owed


def _wait(since: float, timeout: float) -> None:
    what = "HAProxy to work with what was written for it"
    config = FILES[0]
    try:
        wait_until(lambda: (worker_began() or 0) > since, what, timeout)
    except RelevoError as error:
        raise RelevoError(
            f"{error.message} It goes on with what it had, if it had anything: a new worker has not begun. Its log "
            f"(journalctl -u {READER.unit}; of a container, docker logs) says why, and so may haproxy -c -f {config}. "
            "Correct that, then run this again."
        ) from None


def servers_of(cluster: str, config: str) -> list[str]:
    """The servers that a configuration knows of a cluster."""
    return [name for backend, name, _port in _servers(config) if backend == f"{cluster}_primary"]


def info(cluster: str = "", config: Path = FILES[0]) -> dict[str, object]:
    """The shape that ``haproxy_info`` returns."""
    state = look()
    return {
        "running": state.master is not None,
        "reload_owed": state.owed,
        "servers": servers_of(cluster, config.read_text()) if cluster and config.exists() else None,
        **certificate.validity(),
    }
