# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node does for those that stream from it, and how often a standby looks for WAL."""

from __future__ import annotations

import time

from .._wait import wait_until
from .session import Session, SessionError


def look_for_wal_often(candidate: Session) -> None:
    """Otherwise a candidate whose sender has just ended may sleep before it follows the request to promote.

    A server that forbids it (``allow_alter_system``) is woken instead (``Alarm``): this is only for speed.
    """
    _alter_system(candidate, "ALTER SYSTEM SET wal_retrieve_retry_interval = '5ms'")


def look_for_wal_as_usual(candidate: Session, timeout: float | None = None) -> None:
    """Undo ``look_for_wal_often``, after the promotion or instead of it."""
    _alter_system(candidate, "ALTER SYSTEM RESET wal_retrieve_retry_interval", timeout)


def _alter_system(session: Session, statement: str, timeout: float | None = None) -> None:
    try:
        session.query(statement, timeout=timeout)
    except SessionError as error:
        # With an SQLSTATE the server said no; without one it is gone.
        if error.sqlstate is None:
            raise
        return
    session.query("SELECT pg_reload_conf()", timeout=timeout)


class Alarm:
    """Wakes the startup process of a standby that was asked to promote itself.

    It notes the request, fetches the last record once more, and may sleep ``wal_retrieve_retry_interval`` (5 s) before
    it does (xlogrecovery.c, WaitForWALToBecomeAvailable): whether it does is a race. Anything that it is signalled
    wakes it, a reload too. For the server that forbids ``look_for_wal_often``; harmless at any other.
    """

    FIRST, LAST = 0.03, 1.0

    def __init__(self) -> None:
        self._interval, self._due = self.FIRST, 0.0

    def ring(self, session: Session) -> bool:
        """Where it is due; each time it rings, it is due in twice the time. False: nobody is promoted by it."""
        now = time.monotonic()
        if now >= self._due:
            session.query("SELECT pg_reload_conf()")
            self._due, self._interval = now + self._interval, min(2 * self._interval, self.LAST)
        return False


def drop_slot(session: Session, name: str, timeout: float = 30) -> bool:
    """Drop a physical slot, also one that a sender occupies whose standby is gone; returns whether there was one."""
    found = session.query("SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", (name,))
    if not found:
        return False
    if found[0]["active_pid"] is not None:
        # It would go on for wal_sender_timeout (60 s) after its standby died without a word.
        session.query("SELECT pg_terminate_backend($1)", (found[0]["active_pid"],))
        wait_until(
            lambda: session.flag("SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1", (name,)),
            f"the slot {name} to be left",
            timeout,
        )
    session.query("SELECT pg_drop_replication_slot($1)", (name,))
    return True


def ensure_slot(session: Session, name: str) -> list[str]:
    """Make a physical slot where it is missing or has lost WAL, also on a standby; it keeps WAL from now on.

    Returns what was done, in words.
    """
    done: list[str] = []
    found = session.query("SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", (name,))
    if found and found[0]["wal_status"] != "lost":
        return done
    if found:
        session.query("SELECT pg_drop_replication_slot($1)", (name,))
        done.append(f"dropped the slot {name}, which had lost WAL")
    session.query("SELECT pg_create_physical_replication_slot($1, true)", (name,))
    return [*done, f"made the slot {name}"]
