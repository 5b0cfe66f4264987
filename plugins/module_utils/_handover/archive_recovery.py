# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back for an old primary whose successor is lost for good: recovery from the archive, never a plain start.

A plain start would archive happily, and a later restore would follow the dead timeline and have none of its rows.
Started as a standby with ``restore_command`` and then promoted, the server gets a timeline newer than any before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._errors import RelevoError
from .._repository.archive import Archive
from .._repository.away import first_of
from .._repository.command import repositories, restore_command
from .._repository.pgbackrest import PgBackRest
from .._server import marker
from .._server.lsn import SEGMENT_SIZE, format_lsn, parse_lsn, segment_start
from .._server.server import Server
from .._server.service import Service
from .._server.session import Session
from .._wait import wait_while_it_goes_on

#: Seconds for the replay of the archive, however well it goes on.
LONGEST = 3600.0


@dataclass
class ArchiveRecovery:
    """Makes the stopped server of this node a standby that follows the archive; it is promoted afterwards.

    ``timeout``: seconds for its start, and without any replay from then on.
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
        self.service.stop(60)
        self.server.become_standby_at_next_start()
        marker.remove("fence")
        try:
            # Its successor's history has every row that was archived since.
            return self._follow("latest", patience=30)
        except RelevoError:
            # It went on writing beyond the fork, so it can follow no history but its own.
            self.service.stop(60)
            return self._follow("current", patience=self.timeout)

    def _follow(self, target: str, patience: float) -> dict[str, Any]:
        # "latest" is the default, and unsetting it after the promotion would want a restart.
        self.server.write_replication_conf("", "", restore_command(self.stanza), "" if target == "latest" else target)
        self.service.start()
        self.server.wait_ready(patience, standby=True)
        return {"recovery_target_timeline": target, "replayed": self._wait_for_archive(target)}

    def _wait_for_archive(self, target: str) -> str:
        """The last complete segment of the history that is followed must have been replayed."""
        archive, _away = first_of(
            repositories(), lambda number: Archive.newest(PgBackRest(self.stanza, repository=number))
        )
        with Session.local(application_name="relevo return", timeout=10) as session:

            def replayed() -> int:
                return parse_lsn(session.value("SELECT pg_last_wal_replay_lsn()"))

            timeline = archive.newest_timeline() if archive and target == "latest" else None
            segments = archive.segments(timeline) if archive and timeline else []
            if segments:
                end = segment_start(segments[-1]) + SEGMENT_SIZE
                wait_while_it_goes_on(
                    lambda: replayed() >= end,
                    replayed,
                    f"{self.node} to replay the archive up to {format_lsn(end)}",
                    self.timeout,
                    LONGEST,
                    interval=0.2,
                )
            return format_lsn(replayed())
