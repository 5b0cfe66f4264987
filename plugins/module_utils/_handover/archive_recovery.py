# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back for an old primary whose successor is lost for good: recovery from the archive, never a plain start.

A plain start would archive happily, and a later restore would follow the dead timeline and have none of its rows.
Started as a standby with ``restore_command`` and then promoted, the server gets a timeline newer than any before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from .._errors import RelevoError
from .._repository.archive import config_that_answers, newest_segment_anywhere
from .._repository.away import Away
from .._repository.command import restore_command
from .._server import marker, recovery, server_log
from .._server.held_replay import HeldReplay
from .._server.lsn import SEGMENT_SIZE, format_lsn, parse_lsn, segment_start
from .._server.server import Server
from .._server.service import Service
from .._server.session import Session
from .._wait import TimedOutError, wait_while_it_goes_on

#: Seconds for the recovery from a crash, and for the replay of the archive, however well they go on.
LONGEST = 3600.0
#: Seconds for a server that can follow its successor's history and has nothing to recover from.
PATIENCE = 30.0
INTERVAL = 0.1


class StillRecoveringError(RelevoError):
    """It is neither up nor stuck, so nothing is known about whom it can follow."""


@dataclass
class ArchiveRecovery:
    """Makes the stopped server of this node a standby that follows the archive; it is promoted afterwards.

    ``timeout``: seconds in which neither its recovery from a crash nor its replay goes on.
    """

    node: str
    stanza: str
    service: Service
    timeout: float = 300.0
    server: Server = field(default_factory=Server)

    def run(self) -> dict[str, Any]:
        """Start it as a standby and wait until it has replayed what the archive holds of its history."""
        marker.require_no_restore(self.node)
        marker.require_membership(self.node)
        if marker.read("rejoin"):
            raise RelevoError(
                f"The data of {self.node} was being overwritten when that was cut off, so it cannot return. "
                "Promote another node, then run rejoin.yml."
            )
        if not self.server.initialised:
            raise RelevoError(
                f"{self.node} holds no data, so it cannot return. Nothing was changed. Name another candidate; where "
                "no node holds any, restore.yml -e to=cluster -e target_type=latest brings back what was backed up."
            )
        self.service.stop(60)
        self.server.become_standby_at_next_start()
        marker.remove("fence")
        try:
            # Its successor's history has every row that was archived since.
            return self._follow("latest", PATIENCE)
        except StillRecoveringError:
            # The other way would have it begin again, and costs rows.
            raise
        except RelevoError:
            # It went on writing beyond the fork, so it can follow no history but its own.
            self.service.stop(60)
            return self._follow("current", self.timeout)

    def _follow(self, target: str, patience: float) -> dict[str, Any]:
        # "latest" is the default, and unsetting it after the promotion would want a restart.
        command = restore_command(self.stanza, config_that_answers(self.stanza))
        self.server.write_replication_conf("", "", command, "" if target == "latest" else target)
        self.service.start()
        self._wait_for_start(patience)
        held = HeldReplay(self.node, self.server)
        replayed, away = self._wait_for_archive(target, held)
        return {
            "recovery_target_timeline": target,
            "replayed": replayed,
            "away": [one.as_dict() for one in away],
            "warnings": held.sentences(),
        }

    def _wait_for_start(self, patience: float) -> None:
        """Wait until it answers as a standby.

        First it recovers from its crash, with whatever WAL is on its disk, for as long as that takes; before, it makes
        all files durable, which shows nowhere. One that cannot follow the history ends, and is started again and
        again, or waits for a segment that never comes: ``patience`` is for that.
        """
        began = moved = time.monotonic()
        first: int | None = None
        seen: set[str] = set()
        while not self.server.answers(standby=True):
            pid, now = self.server.postmaster_pid(), time.monotonic()
            first = first or pid
            title = recovery.startup_title(self.server)
            # Of what one that is started again recovers anew, nothing is news.
            if title not in seen:
                seen.add(title)
                moved = now
            works = pid is not None and pid == first and "waiting for" not in title
            limit = max(patience, self.timeout) if works else patience
            if now - moved >= limit:
                said = server_log.last_complaint()
                raise TimedOutError(
                    f"Timed out after {limit:g} s in which nothing went on, waiting for the server of {self.node} to "
                    f"answer as a standby{f' ({said})' if said else ''}."
                )
            if now - began >= LONGEST:
                raise StillRecoveringError(
                    f"The server of {self.node} has been recovering for {LONGEST:.0f} s, and goes on. "
                    f"{recovery.how_far(self.server)} It was left at that: wait until it answers as a standby "
                    "(status.yml), then run this again."
                )
            time.sleep(INTERVAL)

    def _wait_for_archive(self, target: str, held: HeldReplay) -> tuple[str, list[Away]]:
        """The last complete segment of the history that is followed must have been replayed.

        Returns how far it has replayed, and the repositories that do not answer: those may have more.
        """
        newest, away = newest_segment_anywhere(self.stanza)
        with Session.local(application_name="relevo return", timeout=10) as session:

            def replayed() -> int:
                found = parse_lsn(session.value("SELECT pg_last_wal_replay_lsn()"))
                held.look(session, found, time.monotonic())
                return found

            if newest and target == "latest":
                end = segment_start(newest) + SEGMENT_SIZE
                wait_while_it_goes_on(
                    lambda: replayed() >= end,
                    replayed,
                    f"{self.node} to replay the archive up to {format_lsn(end)}",
                    self.timeout,
                    LONGEST,
                    interval=0.2,
                )
            return format_lsn(replayed()), away
