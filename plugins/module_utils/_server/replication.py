# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node does for those that stream from it, and how often a standby looks for WAL."""

from __future__ import annotations

from .session import Session, SessionError


def look_for_wal_often(candidate: Session) -> None:
    """Otherwise a candidate whose sender has just ended may sleep before it notices the request to promote.

    A server that forbids it (``allow_alter_system``) is promoted some seconds later: this is only for speed.
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


def let_replay_go_on(standby: Session) -> None:
    """Replay that somebody paused is no reason to wait, nor to lose what was received."""
    if standby.flag("SELECT pg_is_wal_replay_paused()"):
        standby.query("SELECT pg_wal_replay_resume()")


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
