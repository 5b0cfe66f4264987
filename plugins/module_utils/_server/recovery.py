# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the recovery of this node's server is, which lets nobody in until it has ended.

Its startup process has the segment that it replays in its title. The end of the WAL on the disk is the segment that was
written last: names tell nothing, since the server keeps segments under the names of the future.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._tables import format_bytes
from .lsn import SEGMENT, segment_start
from .server import Server

TITLE = re.compile(rf"startup recovering ({SEGMENT.pattern})")


@dataclass(frozen=True)
class Progress:
    """The segment that is replayed now, and the newest one on the disk; empty where that is not where it ends."""

    at: str
    newest: str = ""

    @property
    def sentence(self) -> str:
        said = f"It is replaying the WAL segment {self.at}"
        if not self.newest:
            return f"{said}."
        left = segment_start(self.newest) - segment_start(self.at)
        return f"{said} of up to {self.newest} ({format_bytes(left)} left)." if left > 0 else f"{said}, its newest."


def progress(titles: Sequence[str], written: Sequence[tuple[float, str]], archive: bool) -> Progress | None:
    """From the ``titles`` of the server's processes, and its segments with the time at which each was ``written``.

    ``archive``: it also replays what it gets from the archive or from a primary, of which nobody here knows the end.
    None: none of the processes is replaying.
    """
    at = next((found[1] for title in titles if (found := TITLE.search(title))), None)
    if at is None:
        return None
    return Progress(at, "" if archive or not written else max(written)[1])


def of_server(server: Server) -> Progress | None:
    """How far this node's server is; None when it is not replaying anything."""
    archive = any((server.pgdata / name).exists() for name in ("standby.signal", "recovery.signal"))
    segments = [path for path in (server.pgdata / "pg_wal").iterdir() if SEGMENT.fullmatch(path.name)]
    return progress(_titles(server.processes()), [(path.stat().st_mtime, path.name) for path in segments], archive)


def startup_title(server: Server) -> str:
    """The title of the startup process, which names the segment that it replays or waits for; empty without one."""
    pid = server.postmaster_pid()
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if pid and children.exists() else []:
        found = next((title for title in _titles([int(child)]) if "startup" in title), "")
        if found:
            return found.replace("\0", " ").strip()
    return ""


def _titles(pids: Sequence[int]) -> list[str]:
    titles = []
    for pid in pids:
        try:
            titles.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended.
    return titles


def how_far(server: Server) -> str:
    """The sentence; empty when the server does not run, or does not replay anything."""
    found = of_server(server) if server.postmaster_pid() is not None else None
    return found.sentence if found else ""


def answer(_question: dict[str, Any]) -> dict[str, Any]:
    """``how_far`` of this node's server, for a program on the node."""
    return {"how_far": how_far(Server())}
