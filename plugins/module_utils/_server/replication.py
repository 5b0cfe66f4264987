# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node does for those that stream from it, and how often a standby looks for WAL."""

from __future__ import annotations

from .session import Session


def look_for_wal_often(candidate: Session) -> None:
    """Otherwise a candidate whose sender has just ended may sleep before it notices the request to promote."""
    candidate.query("ALTER SYSTEM SET wal_retrieve_retry_interval = '5ms'")
    candidate.query("SELECT pg_reload_conf()")


def look_for_wal_as_usual(candidate: Session, timeout: float | None = None) -> None:
    """Undo ``look_for_wal_often``, after the promotion or instead of it."""
    candidate.query("ALTER SYSTEM RESET wal_retrieve_retry_interval", timeout=timeout)
    candidate.query("SELECT pg_reload_conf()", timeout=timeout)


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
