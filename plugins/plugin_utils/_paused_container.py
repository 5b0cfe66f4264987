# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container that is paused answers nothing and ends nothing: whoever waits for it has to look at it from outside."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

PATIENCE = 60.0
INTERVAL = 5.0


class ContainerPausedError(Exception):
    """It was paused for longer than anybody would wait."""


@contextmanager
def watched(state: Callable[[], str], patience: float = PATIENCE, interval: float = INTERVAL) -> Iterator[None]:
    """Raise ``ContainerPausedError`` in the block when ``state()`` says ``paused`` for ``patience`` seconds.

    Only in a process's main thread, which a signal interrupts while it waits for an answer. An engine that does not
    answer says nothing about the container.
    """
    ended = threading.Event()

    def watch() -> None:
        since: float | None = None
        while not ended.wait(interval):
            try:
                frozen = state() == "paused"
            except RelevoError:
                continue
            since = (since or time.monotonic()) if frozen else None
            if since is not None and time.monotonic() - since >= patience:
                os.kill(os.getpid(), signal.SIGUSR1)
                return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not ended.is_set():
            raise ContainerPausedError

    before = signal.signal(signal.SIGUSR1, interrupt)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        signal.signal(signal.SIGUSR1, before)
