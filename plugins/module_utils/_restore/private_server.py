# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that recovers where no client finds it: on a port of its own of this host's socket directory.

The start guard is not asked, since it leads nowhere near the cluster until its data are what they should be.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._errors import RelevoError
from .._server.lsn import CURRENT_TIMELINE
from .._server.server import Server
from .._server.session import Session, SessionError
from .._wait import wait_until

#: Where a recovery has ended, and how old that is: ``lsn``, ``timeline``, ``last_commit`` in UTC or None.
REACHED = (
    f"SELECT pg_last_wal_replay_lsn() AS lsn, {CURRENT_TIMELINE} AS timeline, "
    "to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS last_commit"
)


@dataclass
class PrivateServer:
    """``what`` names it in messages; ``configuration`` is its file, ``settings`` what overrides that and all else."""

    server: Server
    version: str
    port: int
    log: Path
    configuration: Path
    what: str
    settings: Mapping[str, Any]

    def start(self, nice: int = 0) -> None:
        """Start it; ``RelevoError`` where it has no process after 30 s. It need not take connections yet."""
        self.server.remove_stale_lock_files()
        self.log.unlink(missing_ok=True)
        options = [f"-c {shlex.quote(f'{name}={value}')}" for name, value in self.settings.items()]
        options.insert(0, f"-c config_file={self.configuration}")
        command = [
            str(_names.bin_directory(self.version) / "pg_ctl"),
            "start",
            "-W",
            "-s",
            "-D",
            str(self.server.pgdata),
        ]
        done = _process.run(
            ["nice", "-n", str(nice), *command, "-l", str(self.log), "-o", " ".join(options)], timeout=60
        )
        if done.returncode:
            raise RelevoError(f"The server of {self.what} could not be started: {done.stderr.strip()}")
        # It has forked when this returns, but need not have written its number yet.
        wait_until(lambda: self.server.postmaster_pid() is not None or self._ended(), "its postmaster", 30)

    def _ended(self) -> bool:
        return "database system is shut down" in self.said()

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def is_open(self) -> bool:
        """Whether it accepts writes, which it does once its target is reached."""
        try:
            with self.session(timeout=3) as asked:
                return not asked.flag("SELECT pg_is_in_recovery()")
        except SessionError:
            return False

    def session(self, timeout: float = 10) -> Session:
        """A superuser's session."""
        return Session.at_socket(self.port, "postgres", self.what, timeout)

    def is_there(self) -> bool:
        """Whether the server that runs on these data is this one, by the port in its lock file."""
        if self.server.postmaster_pid() is None:
            return False
        lines = (self.server.pgdata / "postmaster.pid").read_text().splitlines()
        return lines[3:4] == [str(self.port)]

    def stop(self, how: signal.Signals = signal.SIGINT, timeout: float = 300) -> None:
        """End whatever works on these data, and wait until all of its processes have ended."""
        self.server.signal_postmaster(how)
        wait_until(lambda: not self.server.processes(), f"the server of {self.what} to end", timeout)
