# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planned hand-over: one process on the old primary's node, from the checks to the new primary's checkpoint.

Between "the primary stops taking writes" and "the new primary takes writes" only this process runs. Everything that
can be checked or prepared is done before. Up to the request of the promotion any failure restores the old primary;
after it there is no way back.
"""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from .. import _names
from .._cluster import synchronous
from .._cluster.answer import Slot, read
from .._cluster.lock import HandoverLock
from .._cluster.slots import SLOTS, left_behind, not_synchronised
from .._errors import RelevoError
from .._server import held_replay, marker
from .._server.credentials import Credentials
from .._server.lsn import CURRENT_TIMELINE, format_lsn, parse_lsn
from .._server.peer import Peer
from .._server.replication import Alarm, ensure_slot, look_for_wal_as_usual, look_for_wal_often
from .._server.senders import END_AGAIN, GRACE, SENDERS, ended, unconfirmed
from .._server.server import DB_SHUTDOWNED, Server
from .._server.service import Service
from .._server.session import Row, Session, SessionError
from .._server.unlogged import unlogged_tables
from .._wait import wait_until

POLL = 0.002
STANDBY_STATE = """
SELECT pg_is_in_recovery() AS in_recovery, pg_is_wal_replay_paused() AS paused,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'recovery_min_apply_delay') AS apply_delay,
       current_setting('restore_command') AS restore_command,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       (SELECT coalesce(max(extract(epoch FROM now() - xact_start))::bigint, 0) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid())
         AS oldest_query_s
"""
# A walsender that stops waits for what is flushed or, of a consumer that flushes nothing, written (WalSndDone).
# Of other readers of WAL only the standbys are known to confirm as they go.
UNCONFIRMED = f"""
SELECT sender.* FROM ({SENDERS}) AS sender JOIN pg_stat_replication USING (pid)
 WHERE (slot IS NOT NULL OR sender.application_name = ANY(string_to_array($2, ' ')))
   AND coalesce(flush_lsn, write_lsn, '0/0') < $1::pg_lsn"""

# A server that archives ends its last segment when it stops: it pads it with zeros up to the full 16 MB, and the
# candidate has to receive and flush them inside the window (0.06 s). So the segment is filled before, but for a rest
# that the clients' own writes have room in. The message is of our own database, so no logical slot decodes it.
SEGMENT_REST = 1024 * 1024
FILL_SEGMENT = """
SELECT pg_logical_emit_message(true, 'relevo', repeat(' ', (room - $1::bigint)::int))
  FROM (SELECT size - (pg_current_wal_insert_lsn() - '0/0') % size AS room
          FROM (SELECT setting::bigint AS size FROM pg_settings WHERE name = 'wal_segment_size') AS known) AS segment
 WHERE room > $1::bigint AND current_setting('archive_mode') <> 'off'"""


@dataclass(frozen=True)
class Limits:
    """What a hand-over tolerates: seconds, and bytes for ``max_lag``."""

    window: float = 3.0
    catch_up: float = 30.0
    settle: float = 2.0
    promotion: float = 60.0
    archiver: float = 60.0
    max_lag: int = 16 * 1024 * 1024
    long_query: int = 60
    silent_standby: float = 5.0
    #: For failover slots to be synchronised: a standby looks every 30 s at the latest (slotsync.c).
    slots: float = 35.0
    #: For a consumer to confirm what it was sent, before its connection is ended.
    grace: float = GRACE


@dataclass(frozen=True)
class Situation:
    """What the two servers say before a hand-over.

    ``held_by``: the sessions on the candidate that its replay waits for, or empty. ``sender_state``: of the primary's
    connection to the candidate, empty where there is none. ``synchronous``: why the
    candidate could not take writes as a primary that needs a synchronous standby, or empty.
    """

    same_cluster: bool = True
    replay_paused: bool = False
    apply_delay_ms: int = 0
    restore_command: str = ""
    oldest_query_s: int = 0
    held_by: str = ""
    sender_state: str = "streaming"
    synchronous: str = ""


def obstacles(situation: Situation, candidate: str, primary: str, long_query: int) -> list[str]:
    """Why ``candidate`` could not take over inside the window, all reasons at once; none when it can.

    ``long_query``: seconds that a query on the candidate may have been running.
    """
    found = [
        (not situation.same_cluster, f"{candidate} belongs to another cluster"),
        (situation.replay_paused, f"replay is paused on {candidate} (SELECT pg_wal_replay_resume())"),
        (situation.apply_delay_ms != 0, f"{candidate} replays with a delay (recovery_min_apply_delay)"),
        (
            bool(situation.restore_command),
            f"{candidate} still restores from the repository (restore_command is set: run rejoin.yml)",
        ),
        (
            situation.oldest_query_s > long_query,
            f"a query on {candidate} has run for {situation.oldest_query_s} s and may hold replay back",
        ),
        (bool(situation.held_by), f"replay on {candidate} is held back by {situation.held_by}: end that first"),
        (bool(situation.synchronous), situation.synchronous),
        (situation.sender_state != "streaming", f"{candidate} does not stream from {primary}"),
    ]
    return [text for holds, text in found if holds]


def aborted(primary: str, candidate: str, why: str) -> str:
    """What is said of a hand-over that ended before the promotion. What libpq says ends with no full stop."""
    what = why.rstrip(".")
    return f"The hand-over to {candidate} was aborted: {what}. {primary} takes writes again; nothing has changed."


def slots_of(session: Session) -> list[Slot]:
    """The slots of a server."""
    return [read(Slot, given) for given in json.loads(session.value(SLOTS))]


@dataclass
class Switchover:
    """One hand-over from the primary on this node (``local``) to ``candidate``."""

    local: Peer
    candidate: Peer
    nodes: list[Peer]
    requested_by: str
    service: Service
    server: Server = field(default_factory=Server)
    credentials: Credentials = field(default_factory=Credentials)
    limits: Limits = field(default_factory=Limits)
    warnings: list[str] = field(default_factory=list)
    #: What is said of those who read from the primary when it was stopped, if they have to be ended, by process: of
    #: those who stream WAL, but for the candidate, and of logical consumers.
    senders: dict[int, str] = field(default_factory=dict)
    consumers: dict[int, str] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Hand over and return what happened; a ``RelevoError`` before the promotion means that nothing has changed."""
        lock = HandoverLock(f"switchover to {self.candidate.name} by {self.requested_by}", self.credentials)
        lock.take(self.local.name, self.nodes, {self.local.name, self.candidate.name})
        try:
            candidate = lock.sessions[self.candidate.name]
            with Session.local(_names.OWN_DATABASE, application_name="relevo switchover", timeout=30) as primary:
                timeline = self.check(primary, candidate)
                self.prepare(primary, candidate)
                seconds, lsn = self.window(primary, candidate, timeline)
            self.finish()
            return {
                "primary": self.candidate.name,
                "window_seconds": round(sum(seconds.values()), 4),
                "window_steps": {step: round(value, 4) for step, value in seconds.items()},
                "shutdown_lsn": format_lsn(lsn),
                "notices": self.warnings,
                "not_locked": lock.unreachable,
            }
        finally:
            lock.release()

    def open_candidate(self) -> Session:
        """A session at the candidate by the role of a hand-over."""
        return Session.remote(self.candidate, _names.HANDOVER_ROLE, self.credentials, timeout=30)

    # --- before the window ---------------------------------------------------------------------------------------

    def check(self, primary: Session, candidate: Session) -> int:
        """Refuse what would fail inside the window; returns the primary's timeline."""
        name = self.candidate.name
        if primary.flag("SELECT pg_is_in_recovery()"):
            raise RelevoError(f"{self.local.name} is a standby by now. Nothing was changed; run this again.")
        if not candidate.flag("SELECT pg_is_in_recovery()"):
            raise RelevoError(f"{name} is not a standby: it takes writes. Nothing was changed.")
        found = obstacles(self._situation(primary, candidate), name, self.local.name, self.limits.long_query)
        if found:
            raise RelevoError(f"{name} cannot take over: {'; '.join(found)}. Nothing was changed.")
        return int(primary.value(f"SELECT {CURRENT_TIMELINE}"))

    def _situation(self, primary: Session, candidate: Session) -> Situation:
        name = self.candidate.name
        state = candidate.query(STANDBY_STATE)[0]
        identifier = primary.value("SELECT system_identifier::text FROM pg_control_system()")
        sender = next((row for row in primary.query(SENDERS) if row["application_name"] == name), None)
        return Situation(
            same_cluster=identifier == state["system_identifier"],
            replay_paused=state["paused"] == "t",
            apply_delay_ms=int(state["apply_delay"]),
            restore_command=state["restore_command"] or "",
            oldest_query_s=int(state["oldest_query_s"]),
            held_by=held_replay.held_by(candidate, held_replay.GRACE),
            sender_state=sender["state"] if sender else "",
            synchronous=synchronous.obstacle(candidate, name) or "",
        )

    def prepare(self, primary: Session, candidate: Session) -> None:
        """Slots for the coming standbys, little left to write and to send at the stop, and a candidate close behind."""
        self.warnings += unlogged_tables().sentences(f"are empty on {self.candidate.name}")
        for node in self.nodes:
            if node.name != self.candidate.name:
                ensure_slot(candidate, _names.slot_name(node.name))
        look_for_wal_often(candidate)
        # The second checkpoint writes what came in during the first, so the one of the stop has next to nothing to do.
        for _dummy in range(2):
            primary.query("CHECKPOINT", timeout=300)
        primary.query(FILL_SEGMENT, (SEGMENT_REST,), timeout=30)

        self._wait_close(primary)
        self._name_slots(primary, candidate)
        self._end_slow_consumers(primary)

    def _wait_close(self, primary: Session) -> None:
        """What the candidate still lacks is sent inside the window: little must be, and next to nothing should be."""

        def within(limit: int) -> bool:
            behind = primary.value(
                "SELECT pg_current_wal_lsn() - replay_lsn FROM pg_stat_replication WHERE application_name = $1",
                (self.candidate.name,),
            )
            return behind is not None and int(behind) <= limit

        limits = self.limits
        wait_until(
            lambda: within(limits.max_lag), f"{self.candidate.name} to catch up with {self.local.name}", limits.catch_up
        )
        # A busy primary may never be closer than this.
        patience = time.monotonic() + limits.settle
        while not within(SEGMENT_REST) and time.monotonic() < patience:
            time.sleep(POLL)

    def _name_slots(self, primary: Session, candidate: Session) -> None:
        """What stays behind is named. New failover slots are waited for; one that nobody reads gets no copy."""
        # Up to PostgreSQL 16 there is no such parameter.
        synchronises = candidate.value("SELECT current_setting('sync_replication_slots', true)") == "on"
        patience = time.monotonic() + (self.limits.slots if synchronises else 0)
        while True:
            here, there = slots_of(primary), slots_of(candidate)
            to_come = [slot for slot in not_synchronised(here, there) if slot.active]
            if not to_come or time.monotonic() > patience:
                break
            time.sleep(0.1)
        names = [node.name for node in self.nodes]
        self.warnings += left_behind(self.local.name, here, self.candidate.name, there, names)

    def _end_slow_consumers(self, primary: Session) -> None:
        """Before its last checkpoint a stopping primary waits until each logical consumer has confirmed all, and until
        no sender is blocked in a write, as that of a standby that hangs.

        One that does not within the grace would cost those seconds of writes. It loses its connection at the stop
        anyway, and is sent again what it has not confirmed.
        """
        sent = primary.value("SELECT pg_current_wal_flush_lsn()")
        standbys = " ".join(node.name for node in self.nodes if node.name != self.candidate.name)
        patience = time.monotonic() + self.limits.grace
        while (slow := primary.query(UNCONFIRMED, (sent, standbys))) and time.monotonic() < patience:
            time.sleep(10 * POLL)
        self.warnings += [self._said_of(row) for row in slow]
        patience = time.monotonic() + self.limits.grace
        # Again, since a sender that is blocked in a write ends at the second request.
        while slow and time.monotonic() < patience:
            for row in slow:
                primary.query("SELECT pg_terminate_backend($1)", (row["pid"],))
            time.sleep(END_AGAIN)
            slow = primary.query(UNCONFIRMED, (sent, standbys))

    def _said_of(self, sender: Row) -> str:
        """What is said of a sender that is ended."""
        name, slot = sender["application_name"], sender["slot"]
        return ended(name, slot, self.limits.grace) if slot else unconfirmed(name)

    # --- the window ----------------------------------------------------------------------------------------------

    def window(self, primary: Session, candidate: Session, timeline: int) -> tuple[dict[str, float], int]:
        """Stop the primary, wait for the candidate, promote it. Returns each step's seconds and the last checkpoint."""
        marker.write(
            marker.Marker.now(
                "fence",
                node=self.local.name,
                by=self.requested_by,
                successor=self.candidate.name,
                timeline=timeline,
                reason="planned hand-over",
            )
        )
        try:
            self.service.dont_restart()
            self._look_at_senders(primary)
            started = time.monotonic()
            deadline = started + self.limits.window
            self.server.signal_postmaster(signal.SIGINT)
            lsn = self._wait_shut_down(started, deadline)
            stopped = time.monotonic()
            self._wait_replayed(candidate, lsn, deadline)
            replayed = time.monotonic()
        except RelevoError as error:
            self.abort()
            self._relax(candidate)
            raise RelevoError(aborted(self.local.name, self.candidate.name, error.message)) from error
        self._promote(candidate)
        ended = time.monotonic()
        seconds = {"stop": stopped - started, "replay": replayed - stopped, "promotion": ended - replayed}
        return seconds, lsn

    def _look_at_senders(self, primary: Session) -> None:
        """A sender whose standby does not answer holds the stop for up to wal_sender_timeout (60 s); it is dropped.

        Who is noted and holds it all the same is ended later.
        """
        for row in primary.query(SENDERS):
            name, pid = row["application_name"], int(row["pid"])
            if row["slot"]:
                self.consumers[pid] = self._said_of(row)
            elif name != self.candidate.name:
                if float(row["silent_s"]) > 10 + self.limits.silent_standby or row["state"] != "streaming":
                    primary.query("SELECT pg_terminate_backend($1)", (row["pid"],))
                    self.warnings.append(f"{name} does not answer; its connection was dropped.")
                else:
                    self.senders[pid] = self._said_of(row)

    def _end(self, senders: dict[int, str]) -> None:
        """End those that still hold the stop. Again and again: one that is blocked in a write ends at the second."""
        for pid in self.server.terminate(senders):
            if senders[pid] not in self.warnings:
                self.warnings.append(senders[pid])

    def _wait_shut_down(self, started: float, deadline: float) -> int:
        """Wait for the control file, not for the process: the archiver may go on after the last WAL was written."""
        grace = started + self.limits.grace
        while True:
            state, lsn = self.server.quick_state()
            # Read twice: the file may be in the middle of being written.
            if state == DB_SHUTDOWNED and self.server.quick_state() == (state, lsn):
                return lsn
            if time.monotonic() > deadline:
                raise RelevoError(f"{self.local.name} did not stop within {self.limits.window:g} s.")
            if time.monotonic() > grace:
                self._end(self.consumers | self.senders)
                grace += END_AGAIN
            time.sleep(POLL)

    def _wait_replayed(self, candidate: Session, checkpoint: int, deadline: float) -> None:
        """More than the checkpoint's start must be replayed: then its record has been."""
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RelevoError(
                    f"{self.candidate.name} did not replay the last WAL within {self.limits.window:g} s"
                    f"{self._what_holds(candidate)}."
                )
            replayed = candidate.value("SELECT pg_last_wal_replay_lsn()", timeout=remaining)
            if replayed and parse_lsn(replayed) > checkpoint:
                return
            time.sleep(POLL)

    def _what_holds(self, candidate: Session) -> str:
        """Who holds replay back on a candidate that still answers: that role may see them, and end nobody."""
        try:
            found = held_replay.held_by(candidate, timeout=1)
        except SessionError:
            return ""
        return f", since it is held back there by {found}" if found else ""

    def _promote(self, candidate: Session) -> None:
        """Request the promotion, and observe it until it is decided: from here on it is never undone."""
        deadline = time.monotonic() + self.limits.promotion
        alarm = Alarm()
        session: Session | None = candidate
        statement = "SELECT pg_promote(false)"
        while time.monotonic() < deadline:
            try:
                if session is None:
                    session = Session.remote(self.candidate, _names.HANDOVER_ROLE, self.credentials, timeout=2)
                if statement:
                    # Only once: a lost answer does not say that the request was lost.
                    request, statement = statement, ""
                    session.query(request, timeout=5)
                if not session.flag("SELECT pg_is_in_recovery()", timeout=5):
                    return
                alarm.ring(session)
            except SessionError:
                session = None
            time.sleep(POLL)
        raise RelevoError(
            f"{self.candidate.name} was asked to take over and has not answered for {self.limits.promotion:g} s. "
            f"{self.local.name} stays stopped and fenced, since the promotion may have happened. "
            "Look at the candidate, then run this again: it goes on from what it finds."
        )

    def abort(self) -> None:
        """Make the old primary take writes again: nobody was promoted, and this process knows it."""
        self.server.signal_postmaster(signal.SIGQUIT)
        wait_until(
            lambda: self.server.postmaster_pid() is None, f"the server of {self.local.name} to end", 10, interval=0.01
        )
        marker.remove("fence")
        marker.write_start_pass()
        self.service.start()
        self.server.wait_ready(60, standby=False)

    def _relax(self, candidate: Session) -> None:
        """The candidate goes on as a standby and need not look for WAL so often."""
        try:
            look_for_wal_as_usual(candidate, timeout=2)
        except SessionError:
            return  # It may be the reason of the abort. The next hand-over resets it.

    # --- after the window ----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Without a checkpoint the next backup would fail: pg_control would still name the old timeline."""
        with self.open_candidate() as session:
            session.query("CHECKPOINT", timeout=300)
            look_for_wal_as_usual(session)
        self._wait_for_archiver()

    def _wait_for_archiver(self) -> None:
        """The old postmaster ends when its archiver has pushed what was ready, and its senders have sent it."""
        grace = time.monotonic() + self.limits.grace
        deadline = time.monotonic() + self.limits.archiver
        while self.server.postmaster_pid() is not None:
            if time.monotonic() > grace:
                self._end(self.senders)
                grace += END_AGAIN
            if time.monotonic() > deadline:
                self.server.signal_postmaster(signal.SIGQUIT)
                self.warnings.append(
                    f"The archiver of {self.local.name} had not finished after {self.limits.archiver:g} s and was "
                    "ended."
                )
                deadline += 10
            time.sleep(0.05)
