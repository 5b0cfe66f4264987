# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rejoin at a time on a node, also after one was killed and its copy still runs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._errors import RelevoError
from .._server import marker
from .._wait import wait_until


def owner_lives(text: str) -> bool:
    """Whether the process that wrote ``text`` into the lock file still runs."""
    try:
        owner = json.loads(text)
        return marker.start_time(int(owner["pid"])) == str(owner["starttime"])
    except (ValueError, KeyError, TypeError):
        return False


def end_orphans(path: Path) -> None:
    """Kill the processes that still have the lock file open: copies whose rejoin is dead.

    pg_basebackup is several processes, so no signal at the parent's death would reach them all.
    """
    # The kernel names files without links on the way.
    real = path.resolve()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if any(file.readlink() == real for file in (entry / "fd").iterdir()):
                os.kill(int(entry.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # It has ended, or is none that root's rejoin started.


@contextmanager
def alone(directory: Path, patience: float = 30.0) -> Iterator[int]:
    """Hold the node's lock; yields its file, which every copy must inherit.

    A rejoin that lost its controller goes on to its end, most often within seconds: it is awaited for ``patience``
    seconds.
    """
    marker.ensure_directory(directory)
    path = directory / "rejoin.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def lock() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        began = owned = time.monotonic()
        while not lock():
            now = time.monotonic()
            if owner_lives(path.read_text()):
                owned = now
                if now - began > patience:
                    raise RelevoError("Another rejoin is at work on this node. Wait for its end, then run this again.")
            # Whoever has just taken it writes its number within a moment; until then an older one stands there.
            elif now - owned > 1:
                end_orphans(path)
                wait_until(lock, "what a killed rejoin has left running to end", 15)
                break
            time.sleep(0.05)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "starttime": marker.start_time(os.getpid())}).encode(), 0)
        yield handle
    finally:
        os.close(handle)
