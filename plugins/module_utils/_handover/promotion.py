# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency: promote the standby on this node, after the old primary was proved stopped."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._cluster import synchronous
from .._cluster.lock import HandoverLock
from .._cluster.probe import ask, probe
from .._cluster.topology import NodeState, Topology
from .._errors import RelevoError
from .._repository.archive import newest_timeline_anywhere
from .._repository.fence_record import FenceRecord, RepositoryReader
from .._server import abandoned_timelines, marker
from .._server.credentials import Credentials
from .._server.held_replay import REPLAYED, HeldReplay, OutgrownError, resume
from .._server.lsn import SEGMENT, format_lsn, parse_lsn, segment_start
from .._server.peer import Peer
from .._server.replication import Alarm, ensure_slot, look_for_wal_as_usual, look_for_wal_often
from .._server.server import Server
from .._server.session import PATIENCE, Session, SessionError
from .._server.unlogged import EMPTIED, unlogged_tables
from .._wait import TimedOutError, wait_until, wait_while_it_goes_on
from .archive_salvage import DIRECTORY as ARCHIVED
from .archive_salvage import fetch_segments, not_looked_for

#: Seconds without any replay: for the salvaged WAL to be replayed, and for the promotion.
REPLAY_STANDS = 300.0
PROMOTION_STANDS = 60.0
#: Seconds for all of it, however well it goes on: the play waits for 900 s (``handover_timeout``), and has no words.
LONGEST = 840.0
#: Seconds for what is only for speed.
PACE = 5.0
#: Seconds for a standby to answer that had to be started again: it replays from its last restartpoint.
START = 300.0
#: How often: each record of a greater setting may need one.
MOST_STARTS = 3
#: Seconds for a server that has begun to shut down, which has ended the session first.
SHUTDOWN = 10.0
#: Up to where this server has the WAL, whether it has replayed it or not. May lie within a record.
RECEIVED = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
RECORD = re.compile(r"lsn: ([0-9A-F]+/[0-9A-F]+), prev")


@dataclass(frozen=True)
class PromotionRequest:
    """The promotion of ``local``, the standby on this node.

    ``salvage``: a folder with the dead primary's last segments, or None. ``stanza``: the archive that is asked which
    timelines it knows; None where there is none. ``archived_from``: the first segment of it that this node may not have
    received to the end, or empty. ``newer_timeline``: one that the old primary's disk knows, or 0. ``stopped``: nodes
    that are proved to be stopped, and the proof; the names of some no longer resolve, and asking would cost seconds.
    """

    local: Peer
    nodes: list[Peer]
    old_primary: str
    requested_by: str
    salvage: Path | None = None
    stanza: str | None = None
    archived_from: str = ""
    newer_timeline: int = 0
    force: bool = False
    stopped: Mapping[str, str] = field(default_factory=dict)


def refusal(request: PromotionRequest, topology: Topology, archived: int) -> str:
    """Why ``request.local`` must not be promoted, given what the servers answered; empty when it may.

    ``archived``: the newest timeline that the archive knows, 0 where it could not be asked.
    """
    name = request.local.name
    rivals = [state.name for state in topology.primaries if state.name != name]
    if rivals:
        return f"{rivals[0]} takes writes. Nothing was changed; use failover.yml with a candidate."
    if request.force:
        return ""
    local = topology.find(name)
    best = topology.best_candidate
    if local and best and best.history > local.history:
        return (
            f"{best.name} is ahead of {name} (LSN {format_lsn(best.position)} on timeline {best.timeline} against "
            f"{format_lsn(local.position)} on {local.timeline}). Nothing was changed; promote {best.name}, or lose "
            "what only it has with force=true."
        )
    timeline = local.timeline if local else 0
    if request.newer_timeline > timeline:
        return (
            f"{request.old_primary} was promoted to timeline {request.newer_timeline}, and {name} is on timeline "
            f"{timeline}: it does not descend from the last primary's timeline. Nobody was promoted. "
            f"Start {request.old_primary} and run rejoin.yml, or lose what it has with force=true."
        )
    if archived > timeline:
        return (
            f"The archive holds a newer timeline ({archived}) than that of {name} ({timeline}): it does not descend "
            "from the last primary's timeline. Nobody was promoted. Start the node that is on that timeline and run "
            "this again, or lose what it has with force=true."
        )
    return ""


@dataclass
class Promotion:
    """Carries out a ``PromotionRequest``."""

    request: PromotionRequest
    #: What the inventory calls ``node_service_manager``.
    service_manager: str
    server: Server = field(default_factory=Server)
    credentials: Credentials = field(default_factory=Credentials)
    timeout: float = 4.0
    warnings: list[str] = field(default_factory=list)
    #: The repositories of several that did not answer when they were asked first.
    away: list[int] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    #: By folder, what was given to the server of its WAL, as ``_replay_salvage`` returns it.
    given: dict[Path, tuple[int, bool]] = field(default_factory=dict)
    #: Up to where it had replayed at first.
    before: str = ""
    started_again: int = 0
    #: The process that is asked.
    postmaster: int | None = None
    held: HeldReplay = field(init=False)

    def __post_init__(self) -> None:
        self.held = HeldReplay(self.request.local.name, self.server)

    def run(self) -> dict[str, Any]:
        """Promote and return what happened. Run again after it was cut off, it finishes what is missing."""
        name = self.request.local.name
        marker.require_no_restore(name)
        marker.require_membership(name)
        lock = self._locked()
        started = time.monotonic()
        try:
            result = None
            while result is None:
                try:
                    result = self._promoted(started)
                except (OutgrownError, SessionError) as error:
                    settings = error.settings if isinstance(error, OutgrownError) else self._shut_down_for(error)
                    if not settings or self.started_again == MOST_STARTS:
                        raise
                    self._start_again(settings, lock)
            result |= {"primary": name, "withdraw_record": self._record_stands()}
            return result | {"not_locked": {**self.request.stopped, **lock.unreachable}, "notices": self.warnings}
        finally:
            lock.release()

    def _locked(self, lock: HandoverLock | None = None) -> HandoverLock:
        name, stopped = self.request.local.name, self.request.stopped
        if lock is None:
            lock = HandoverLock(f"promotion of {name} by {self.request.requested_by}", self.credentials, self.timeout)
        lock.take(name, [node for node in self.request.nodes if node.name not in stopped], {name})
        return lock

    def _promoted(self, started: float) -> dict[str, Any]:
        with Session.local(application_name="relevo promotion", timeout=PATIENCE) as session:
            self.postmaster = self.server.postmaster_pid()
            promoted = session.flag("SELECT pg_is_in_recovery()")
            result: dict[str, Any] = {"salvaged_bytes": 0, "promoted": promoted}
            if promoted:
                result |= self._take_over(session, *self.check())
            result["seconds"] = round(time.monotonic() - started, 3)
            self.finish(session)
        if promoted:
            self.warnings += unlogged_tables(EMPTIED, timeout=3).sentences(f"are empty on {self.request.local.name}")
            self.warnings += self.held.sentences()
        return result

    def _shut_down_for(self, error: SessionError) -> str:
        """The settings for which the server has shut down: asked to be promoted, it does so when it comes to the record
        that its primary had greater ones. Empty when it answered, or may have ended for another reason.
        """
        if error.sqlstate is not None or not self.server.is_standby_configured:
            return ""
        try:
            wait_until(self._ended, "the server to end", SHUTDOWN)
        except TimedOutError:
            # It was only slow.
            return ""
        # Here and below, since a node loads these anew for each promotion, and hardly any needs them.
        from .._server import standby_minimum

        return ", ".join(sorted(standby_minimum.needed(self.server)))

    def _ended(self) -> bool:
        """Whether the server that was asked is no more; its service may have started another one."""
        pid = self.server.postmaster_pid()
        return pid is None or pid != self.postmaster

    def _start_again(self, settings: str, lock: HandoverLock) -> None:
        """Its start guard gives a standby the greater values (``standby_minimum``). The lock on it ends with it."""
        from .._server.service import service_for, stop_for_good

        self.started_again += 1
        service = service_for(self.service_manager)
        lock.release()
        try:
            if self.server.postmaster_pid() is not None:
                stop_for_good(service, self.server, timeout=PATIENCE)
        finally:
            # It may be the only one that is left.
            service.start()
        self.server.wait_ready(min(START, max(0.0, self.began + LONGEST - time.monotonic())), standby=True)
        self._locked(lock)
        self.warnings.append(
            f"The primary of {self.request.local.name} had a greater {settings}, and its replay does not go on with "
            "less: it was started again with that before it was promoted."
        )

    def check(self) -> tuple[int, int]:
        """Ask, and refuse what ``refusal`` refuses.

        Returns the timeline of this node, and the newest that the archive or the dead primary's disk knows.
        """
        # The archive takes as long to answer as the servers do.
        with ThreadPoolExecutor(max_workers=1) as asking:
            archived = asking.submit(self._newest_archived)
            topology = Topology(self._asked())
            newest = archived.result()
        # Started again it has not replayed all yet that it had received: what the others have was compared before.
        request = replace(self.request, force=True) if self.started_again else self.request
        why_not = refusal(request, topology, newest)
        if why_not:
            raise RelevoError(why_not)
        local = topology.find(self.request.local.name)
        return local.timeline if local else 0, max(self.request.newer_timeline, newest)

    def _asked(self) -> list[NodeState]:
        """What all servers answered.

        This node's own is asked again over its socket, and for longer, where it was too slow over the network: all that
        is known of the others is compared with what it has, and the old primary is fenced by now.
        """
        states = probe(self.request.nodes, self.timeout, self.credentials, self.request.stopped)
        for state in states:
            if state.name == self.request.local.name and not state.reachable:
                with Session.local(_names.OWN_DATABASE, "relevo promotion", PATIENCE) as session:
                    state.data, state.error = ask(session, PATIENCE), None
        return states

    def _newest_archived(self) -> int:
        """0 where it cannot be told. A repository that hangs holds a promotion up for as long as one question takes."""
        if self.request.stanza is None:
            return 0
        try:
            newest, away = newest_timeline_anywhere(self.request.stanza, self.timeout, likely=self._likely_archive())
        except RelevoError as error:
            self.warnings.append(
                f"The archive could not be asked which timelines it knows, so the new one may bear the number of one "
                f"that was abandoned, and not be archived: {error.message}"
            )
            return 0
        self.away = [one.repository for one in away]
        self.warnings += map(not_looked_for, away)
        return newest

    def _likely_archive(self) -> str:
        """The archive of the first database of this major version that had the stanza, as most are; only for speed."""
        try:
            return f"{self.server.version}-1"
        except RelevoError:
            return ""

    def _fetch_archived(self) -> list[str]:
        """What the dead primary had archived and this node may not have received; called where the archive answers."""
        if self.request.stanza is None or not self.request.archived_from:
            return []
        try:
            return fetch_segments(
                self.request.stanza, self.request.archived_from, warn=self.warnings.append, away=self.away
            )
        except RelevoError as error:
            if not self.request.force:
                raise
            self.warnings.append(error.message)
            return []

    def _take_over(self, session: Session, timeline: int, newest: int) -> dict[str, Any]:
        self.before = self.before or session.value(REPLAYED)
        archived = self._fetch_archived() if newest else []
        # A walreceiver that hangs on a dead connection would delay replay by up to a minute; and a repository that
        # hangs would block the promotion for minutes.
        self.server.write_replication_conf("", "")
        # What it required when it was primary itself would keep it from taking writes now.
        synchronous.drop_requirement()
        # Nothing else may be relied on for it: what follows is only for speed.
        self.server.reload()
        self._set_pace(
            look_for_wal_often,
            f"{self.request.local.name} could not be told to look for WAL more often, so its promotion may have taken "
            "some seconds longer",
        )
        resume(session, self.server, self.request.local.name)
        self._wait(
            session,
            lambda: not session.value("SELECT true FROM pg_stat_wal_receiver"),
            "the WAL receiver to end",
            PATIENCE,
        )
        started = time.monotonic()
        from_archive = self._replay_salvage(session, ARCHIVED)[0] if archived else 0
        salvaged, complete = self._replay_salvage(session, self.request.salvage) if self.request.salvage else (0, False)
        seconds = time.monotonic() - started
        abandoned_timelines.reserve(self.server, timeline, newest)
        # The server itself replays all that it has before it ends recovery (xlogrecovery.c, CheckForStandbyTrigger).
        # That may take longer than pg_promote would wait, and is no reason to give up.
        session.query("SELECT pg_promote(false)")
        alarm = Alarm()
        self._wait(
            session,
            lambda: session.flag("SELECT NOT pg_is_in_recovery()") or alarm.ring(session),
            f"{self.request.local.name} to be promoted. Look at its log, then run this again",
            PROMOTION_STANDS,
        )
        end = session.value(REPLAYED)
        return {
            "salvaged_bytes": salvaged,
            "salvage_complete": complete,
            "archived_bytes": from_archive,
            "salvage_seconds": round(seconds, 3),
            "replayed_before": self.before,
            "end_lsn": end,
        }

    def _wait(self, session: Session, condition: Callable[[], bool], what: str, patience: float) -> None:
        """Wait for as long as this server replays, and ``patience`` seconds after that."""
        left = max(0.0, self.began + LONGEST - time.monotonic())

        def replayed() -> object:
            found: object = session.value(REPLAYED)
            self.held.look(session, found, time.monotonic())
            return found

        wait_while_it_goes_on(condition, replayed, what, patience, left, interval=0.02)

    def _set_pace(self, change: Callable[[Session], None], otherwise: str) -> None:
        """What is only for speed ends nothing; ``otherwise``: what is warned of where it failed.

        In a session of its own, since one whose answer has not come is of no more use.
        """
        try:
            with Session.local(application_name="relevo promotion", timeout=PACE) as session:
                change(session)
        except SessionError as error:
            self.warnings.append(f"{otherwise} ({error.message}).")

    def _replay_salvage(self, session: Session, salvage: Path) -> tuple[int, bool]:
        """Give the running standby the dead primary's last segments.

        Returns the bytes that it replayed of them, and whether that was all that the dead primary had written.

        Each is put beside its target under a name that PostgreSQL itself uses for unfinished segments, owned by
        postgres, and renamed: a file that the server cannot read makes it panic.
        """
        if salvage in self.given:
            # It was started again since: the segments are where it looks for them.
            return self.given[salvage]
        size = int(session.value("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"))
        # Of one whose copy broke off a part may be there.
        segments = sorted(
            path for path in salvage.iterdir() if SEGMENT.fullmatch(path.name) and path.stat().st_size == size
        )
        replayed, received = parse_lsn(session.value(REPLAYED)), parse_lsn(session.value(RECEIVED))
        # The last segment may hold no record yet.
        records = (last_record(path, self.server.bin_directory) for path in reversed(segments))
        end = next((record for record in records if record is not None), None)
        if end is None:
            return 0, False
        # What was received may end in the middle of the last record, and replay before it: only what was replayed tells
        # that nothing is missing.
        if end < replayed:
            self.given[salvage] = (0, True)
            return self.given[salvage]
        account = pwd.getpwnam("postgres")
        for segment in segments:
            os.chown(segment, account.pw_uid, account.pw_gid)
            segment.chmod(0o600)
            # The same volume, so a rename suffices.
            temporary = self.server.pgdata / "pg_wal" / f"xlogtemp.{os.getpid()}"
            segment.rename(temporary)
            temporary.rename(self.server.pgdata / "pg_wal" / segment.name)
        self.given[salvage] = (max(0, end - received), True)
        if session.value("SELECT setting FROM pg_settings WHERE name = 'recovery_min_apply_delay'") != "0":
            # A standby that lags on purpose replays all at once only when it is promoted.
            return self.given[salvage]
        alarm = Alarm()
        self._wait(
            session,
            lambda: parse_lsn(session.value(REPLAYED)) > end or alarm.ring(session),
            f"the salvaged WAL to be replayed up to {format_lsn(end)}",
            REPLAY_STANDS,
        )
        return max(0, parse_lsn(session.value(REPLAYED)) - received), True

    def finish(self, session: Session) -> None:
        """What a new primary needs; safe to repeat."""
        session.query("CHECKPOINT", timeout=300)
        self._set_pace(
            look_for_wal_as_usual,
            f"{self.request.local.name} may go on looking for WAL more often than usual once it is a standby: run "
            "ALTER SYSTEM RESET wal_retrieve_retry_interval there",
        )
        for node in self.request.nodes:
            if node.name != self.request.local.name:
                ensure_slot(session, _names.slot_name(node.name))
        for folder in (self.request.salvage, ARCHIVED):
            if folder and folder.exists():
                shutil.rmtree(folder)
        # A marker of an earlier life of this node is void since the promotion; removed, so that no reader has to
        # handle it.
        marker.remove("fence")

    def _record_stands(self) -> bool:
        """Whether the repository still has a record that this node was fenced, which is void now.

        Only a forced promotion can be that of a fenced node. A repository that does not answer is not a failure here.
        """
        if not self.request.force or self.request.stanza is None:
            return False
        try:
            return FenceRecord(self.request.local.name).read(RepositoryReader(self.request.stanza)) is not None
        except RelevoError as error:
            self.warnings.append(f"Whether a record of a fence stands could not be asked: {error.message}")
            # To withdraw one that is not there does no harm.
            return True


def last_record(segment: Path, bin_directory: Path) -> int | None:
    """Where the last whole record of a segment begins, as ``pg_waldump`` reads it; None where it finds none."""
    done = _process.run([str(bin_directory / "pg_waldump"), f"--path={segment.parent}", segment.name], timeout=120)
    # It ends with an error at the first record that is not whole: that is the end we look for.
    found = RECORD.findall(done.stdout)
    if not found:
        return None
    last = parse_lsn(found[-1])
    return last if last >= segment_start(segment.name) else None
