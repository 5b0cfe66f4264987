# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a hand-over: one advisory lock on every node that answers, in the order of their names.

It lives in a database of our own to which no application may connect, since any login can take an advisory lock,
also on a standby, and so block others. One process takes it and holds it for its whole procedure; a node that is
restarted meanwhile forgets it, the others do not.
"""

from __future__ import annotations

from .. import _names
from .._errors import RelevoError
from .._server.credentials import Credentials
from .._server.peer import Peer
from .._server.session import PATIENCE, Session, SessionError


def holder_of(condition: str) -> str:
    """A query for who holds the lock in a way that meets ``condition``; NULL when nobody does.

    Whoever holds it alone comes first: a hand-over, before the rejoins that share it.
    """
    return f"""
SELECT coalesce(a.application_name, 'a session that has ended')
       || coalesce(' from ' || host(a.client_addr), '') AS holder
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND {condition}
  AND l.classid = {_names.HANDOVER_LOCK[0]} AND l.objid = {_names.HANDOVER_LOCK[1]}
ORDER BY l.mode LIMIT 1"""


def lock_holder(session: Session) -> str:
    """Who keeps ``session`` from the lock."""
    return str(session.value(holder_of("l.pid <> pg_backend_pid()")) or "a session that has just ended")


class HandoverLock:
    """Take it with ``take``; it is released by ``release``, or when this process ends."""

    def __init__(self, purpose: str, credentials: Credentials | None = None, timeout: float = 4.0) -> None:
        # PostgreSQL cuts application_name at 63 bytes.
        self.purpose = f"relevo {purpose}"[:63]
        self.credentials = credentials
        self.timeout = timeout
        self.sessions: dict[str, Session] = {}
        self.unreachable: dict[str, str] = {}

    def take(self, own: str, nodes: list[Peer], required: set[str]) -> None:
        """Lock every node; one that is not ``required`` and does not answer is left out and noted."""
        try:
            for node in sorted(nodes, key=lambda node: node.name):
                self._take_one(node, own, required)
        except RelevoError:
            self.release()
            raise

    def _take_one(self, node: Peer, own: str, required: set[str]) -> None:
        try:
            holder = self._ask_for_it(node, own)
        except SessionError as error:
            if node.name in required:
                raise RelevoError(f"{error.message}. Nothing was changed.") from error
            # One that took the connection and hangs is no better than one that took none.
            if session := self.sessions.pop(node.name, None):
                session.close()
            self.unreachable[node.name] = error.message
            return
        if holder:
            raise RelevoError(
                f"Another operation holds the hand-over lock on {node.name}: {holder}. "
                "Nothing was changed. Wait until it has ended, then run this again."
            )

    def _ask_for_it(self, node: Peer, own: str) -> str:
        """Who keeps us from the lock of a node; empty when we have it."""
        session = self.sessions[node.name] = self._connect(node, own)
        taken = session.flag("SELECT pg_try_advisory_lock($1, $2)", _names.HANDOVER_LOCK)
        return "" if taken else lock_holder(session)

    def _connect(self, node: Peer, own: str) -> Session:
        if node.name == own:
            return Session.local(_names.OWN_DATABASE, self.purpose, max(self.timeout, PATIENCE))
        return Session.remote(
            node, _names.HANDOVER_ROLE, self.credentials, application_name=self.purpose, timeout=self.timeout
        )

    def release(self) -> None:
        for session in self.sessions.values():
            session.close()
        self.sessions.clear()
