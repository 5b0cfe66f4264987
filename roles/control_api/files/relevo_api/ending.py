# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the process of a play ends the play when it is told to end itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

#: Seconds for Ansible to end its workers, before ansible-runner kills it.
PATIENCE_S = 5.0
POLL_S = 0.05


class Ending:
    """For ansible-runner, which asks it every 5 s whether the play is to be ended: so once SIGTERM or SIGINT has come.

    Ansible is told first. It ends its workers, of which each has a session of its own: ansible-runner, which kills the
    process group of Ansible, would leave them to go on with their tasks.
    """

    def __init__(self) -> None:
        self.asked = False
        # Elsewhere Python takes no handlers; nor is it the process of a play then.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._note)

    def __call__(self) -> bool:
        if self.asked:
            end_children()
        return self.asked

    def _note(self, _number: int, _frame: object) -> None:
        self.asked = True


def children() -> list[int]:
    """The processes that this one has begun and that have not ended."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(number) for path in lists for number in path.read_text().split() if _lives(int(number))]


def _lives(process: int) -> bool:
    """Whether a process still runs; one that has ended and was not asked for its status does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def end_children(patience: float = PATIENCE_S) -> None:
    """Ask them to end, and wait for that; whoever has not ended then is somebody else's to kill."""
    for process in children():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while children() and time.monotonic() < deadline:
        time.sleep(POLL_S)
