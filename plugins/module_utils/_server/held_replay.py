# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds the replay of a standby back that is about to be promoted, and how it is made to go on.

Its startup process waits for sessions here that read what the next record removes. How long is set by
``max_standby_streaming_delay``, which may be "for ever"; and it looks at that setting before it begins to wait, not
while it does (standby.c, ``WaitExceedsMaxStandbyDelay``; tried: a reload does not help). So those sessions are ended.
While replay goes on, none of it is done.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .._errors import RelevoError
from .._tables import plural
from .._wait import TimedOutError, wait_until
from .server import Server
from .session import Row, Session, SessionError

#: What the startup process waits for (PostgreSQL's documentation, Wait Events), by its type and its name.
WAITS = "SELECT wait_event_type || ' ' || wait_event FROM pg_stat_activity WHERE backend_type = 'startup'"
PAUSED = "IPC RecoveryPause"
SNAPSHOT = "IPC RecoveryConflictSnapshot"
CONFLICTS = (SNAPSHOT, "IPC RecoveryConflictTablespace", "BufferPin BufferPin")
# Whose lock it waits for is known (pg_blocking_pids knows no startup process, tried with 15). Otherwise it is somebody
# who began before it did, and of those that a removed row is kept from, one with a snapshot.
HOLDERS = """
SELECT pid, coalesce(usename, '') AS "user", coalesce(datname, '') AS database, application_name AS program,
       coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::bigint AS open_s
  FROM pg_stat_activity
 WHERE pid <> pg_backend_pid() AND {condition}
 ORDER BY xact_start, pid"""
BLOCKING = HOLDERS.replace(
    "{condition}",
    """pid IN (
       SELECT held.pid FROM pg_locks AS wanted JOIN pg_locks AS held ON held.granted AND held.pid <> wanted.pid
          AND (held.locktype, held.database, held.relation, held.classid, held.objid) IS NOT DISTINCT FROM
              (wanted.locktype, wanted.database, wanted.relation, wanted.classid, wanted.objid)
        WHERE NOT wanted.granted
          AND wanted.pid IN (SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'))""",
)
OLDER = HOLDERS.replace(
    "{condition}",
    "clock_timestamp() - xact_start >= make_interval(secs => $1) AND (backend_xmin IS NOT NULL OR NOT $2::boolean)",
)
# While replay stands, a snapshot that is taken now is newer than all that the next record removes (tried with 15). Who
# has one like it holds nothing, however long its transaction is open. Who is ended is not chosen by that: a transaction
# whose end a crashed primary has not written makes new snapshots as old.
OLD_SNAPSHOT = HOLDERS.replace("{condition}", "age(backend_xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)")
REPLAYED = "SELECT pg_last_wal_replay_lsn()"
#: Seconds in which replay must stand still before anybody is ended, and between two looks after that.
GRACE = 1.0
AGAIN = 0.2
#: How many are named.
NAMED = 5
#: What SQLSTATE a server answers with that was asked to be promoted, which ends a pause, too.
NOT_NOW = "55000"


class OutgrownError(RelevoError):
    """Replay was paused by the server itself: its primary has raised settings above its own.

    To resume replay, or to promote it, would shut it down. Started again it has the greater values
    (``standby_minimum``).
    """

    def __init__(self, node: str, settings: Collection[str]) -> None:
        names = ", ".join(sorted(settings))
        super().__init__(
            f"{node} has paused its replay, since its primary had a greater {names}, with which it has to be started. "
            "Restart it, then run this again."
        )
        self.settings = names


def conflicts(waits: str | None) -> bool:
    """Whether the startup process waits for sessions; ``waits``: the answer to ``WAITS``."""
    return waits is not None and (waits in CONFLICTS or waits.startswith("Lock "))


def holders(session: Session, waits: str | None, stands: float = 0) -> list[Row]:
    """The sessions that hold replay back which has stood still for ``stands`` seconds; none where nobody does."""
    if not conflicts(waits):
        return []
    if waits in CONFLICTS:
        return session.query(OLDER, (f"{stands:.3f}", "true" if waits == SNAPSHOT else "false"))
    return session.query(BLOCKING)


def held_by(session: Session, patience: float = 0.0, timeout: float | None = None) -> str:
    """Who holds replay back that does not go on within ``patience`` seconds, for a sentence; empty where nobody does.

    A conflict of a moment is none: on a standby that is read from, one look finds one now and then.
    """
    waits = session.value(WAITS, timeout=timeout)
    if patience and conflicts(waits):
        waits = _stays(session, patience)
    if not conflicts(waits):
        return ""
    found = session.query(OLD_SNAPSHOT) if waits == SNAPSHOT else holders(session, waits, patience)
    return named(found) or "a session that PostgreSQL does not name"


def _stays(session: Session, patience: float) -> str | None:
    """What replay still waits for after ``patience`` seconds in which it stood; None where it goes on before that."""
    at = session.value(REPLAYED)

    def goes_on() -> bool:
        return not conflicts(session.value(WAITS)) or session.value(REPLAYED) != at

    try:
        wait_until(goes_on, "replay to go on", patience, AGAIN)
    except TimedOutError:
        waits: str | None = session.value(WAITS)
        return waits
    return None


def named(sessions: Collection[Row]) -> str:
    """Who they are, as far as a sentence has room for them."""
    words = [
        f"{row['user'] or 'nobody'}@{row['database']} ({row['program'] or 'no name'}, process {row['pid']}, in a "
        f"transaction for {row['open_s']} s)"
        for row in list(sessions)[:NAMED]
    ]
    return ", ".join(words + ([f"and {len(sessions) - NAMED} more"] if len(sessions) > NAMED else []))


def resume(session: Session, server: Server, node: str) -> None:
    """Replay that is paused is no reason to wait, nor to lose what was received; raises ``OutgrownError``."""
    if not session.flag("SELECT pg_is_wal_replay_paused()"):
        return
    # Here, since a node loads it anew for each promotion, and hardly any needs it.
    from . import standby_minimum

    asked = (" ".join(standby_minimum.COMPARED),)
    running = session.query("SELECT name, setting FROM pg_settings WHERE name = ANY(string_to_array($1, ' '))", asked)
    lower = standby_minimum.minimum(
        {str(row["name"]): str(row["setting"]) for row in running}, standby_minimum.of_primary(server)
    )
    if lower:
        raise OutgrownError(node, lower)
    session.query("SELECT pg_wal_replay_resume()")


@dataclass
class HeldReplay:
    """The replay of this node's server while somebody waits for it; ``look`` is called again and again."""

    node: str
    server: Server
    ended: dict[str, Row] = field(default_factory=dict)
    _at: object = None
    _since: float = 0.0
    _looked: float = 0.0

    def look(self, session: Session, replayed: object, now: float) -> None:
        """Let it go on when it has stood still for the grace. ``replayed``: up to where it has come; ``now``: seconds.

        Raises ``OutgrownError`` where only a start would.
        """
        if replayed != self._at:
            self._at, self._since, self._looked = replayed, now, now
            return
        stands = now - self._since
        # Who was ended held it; there is no reason to give the next one longer.
        if stands < (AGAIN if self.ended else GRACE) or now - self._looked < AGAIN:
            return
        self._looked = now
        waits = session.value(WAITS)
        if waits == PAUSED:
            self._resume(session)
        # Who has a snapshot conflicts by it, from the beginning. Other things somebody else may have taken since.
        since = stands if waits == SNAPSHOT else min(stands, GRACE)
        for row in holders(session, waits, since):
            session.query("SELECT pg_terminate_backend($1)", (row["pid"],))
            self.ended[str(row["pid"])] = row

    def _resume(self, session: Session) -> None:
        try:
            resume(session, self.server, self.node)
        except SessionError as error:
            if error.sqlstate != NOT_NOW:
                raise

    def sentences(self) -> list[str]:
        """What is said of those who were ended."""
        if not self.ended:
            return []
        return [
            f"Ended on {self.node}, since replay waited for {plural(len(self.ended), 'session')}: "
            f"{named(list(self.ended.values()))}."
        ]
