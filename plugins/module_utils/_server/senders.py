# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is sent WAL by a server, and holds its stop until all of that is confirmed.

A logical consumer holds it without end: ``wal_sender_timeout`` ends only one that says nothing at all.
"""

from __future__ import annotations

import time

from .._errors import RelevoError
from .server import Server
from .service import Service
from .session import Session

#: Of a logical consumer ``slot`` is the slot that it reads.
SENDERS = """
SELECT r.application_name, r.pid, r.state, s.slot_name AS slot,
       coalesce(extract(epoch FROM now() - r.reply_time), 1e9) AS silent_s
  FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid AND s.slot_type = 'logical'"""
#: Seconds to confirm what it was sent, before its connection is ended.
GRACE = 1.0
#: Seconds between two signals to a process that is to end: one that is blocked in a write ends at the second.
END_AGAIN = 0.1
POLL_S = 0.02


def ended(consumer: str, slot: str, grace: float) -> str:
    """What is said of a logical consumer whose connection was ended."""
    return (
        f"The logical consumer {consumer or 'without a name'} (slot {slot}) had not confirmed within {grace:g} s what "
        "it was sent; its connection was ended. Look at it: its slot keeps WAL."
    )


def unconfirmed(name: str) -> str:
    """What is said of one that streams WAL itself."""
    return f"{name} had not confirmed the last WAL; its connection was ended."


def sentences(session: Session, grace: float = GRACE) -> dict[int, str]:
    """By process of those who are sent WAL now: what is said when its connection is ended."""
    return {
        int(row["pid"]): ended(row["application_name"], row["slot"], grace)
        if row["slot"]
        else unconfirmed(row["application_name"])
        for row in session.query(SENDERS)
    }


def stop_beside(held: dict[int, str], server: Server, service: Service, timeout: float) -> list[str]:
    """Stop a server; who of ``held`` still holds that after the grace is ended. Returns what is said of those.

    Raises ``RelevoError`` when it has not stopped within ``timeout`` seconds. It is started again as soon as it has.
    """
    service.ask_to_stop()
    started = time.monotonic()
    end_at = started + GRACE
    said: dict[str, None] = {}
    while not service.stopped():
        now = time.monotonic()
        if now > started + timeout:
            service.start()
            raise RelevoError(
                f"The server did not stop within {timeout:g} s, and is started again as soon as it has. Its log says "
                "what it waits for."
            )
        if now > end_at:
            said |= dict.fromkeys(held[pid] for pid in server.terminate(held))
            end_at = now + END_AGAIN
        time.sleep(POLL_S)
    return list(said)
