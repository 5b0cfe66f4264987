# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gap that a dead primary leaves in the archive, and how its successor closes it.

A streaming standby marks the segments that it receives as archived. When the primary dies before it archived them,
nobody ever does: ``check`` and ``verify`` pass, a restore starts cleanly, and every row of those segments is gone.
The successor still has them in its ``pg_wal``, so it pushes them; ``archive-push`` of a segment that is archived
already is harmless when the contents agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .._errors import RelevoError
from .._repository.archive import Archive, push, spans
from .._repository.away import Away, each
from .._repository.command import CONFIG, repositories
from .._repository.pgbackrest import PgBackRest
from .._server.lsn import SEGMENT, SEGMENT_SIZE, Fork, history_name, parse_history, segment_start
from .._server.server import Server
from .._wait import wait_until


def oldest_needed(backups: Iterable[Mapping[str, Any]], archived: set[str]) -> int | None:
    """The number of the first segment that the archive must hold; None where nothing needs any.

    That is where the oldest backup begins. What is older was expired for good, also when some of it is in the archive
    again because a server that did not know of the expiry archived it once more. Without a backup, what is archived
    tells from where on somebody may want it.
    """
    # An offline backup needs no WAL and names none.
    starts = [name for backup in backups if (name := backup["archive"]["start"])] or sorted(archived)
    return min((segment_start(name) // SEGMENT_SIZE for name in starts), default=None)


def _way_to(fork: Fork) -> str:
    """The name of an ancestor's own history; empty for the first timeline, which has none."""
    return "" if fork.timeline == 1 else history_name(fork.timeline)


def owner_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


@dataclass(frozen=True)
class Closed:
    """What was pushed and what is lost, by the names of the files; the repositories that lost some, and those away."""

    pushed: Sequence[str] = ()
    lost: Sequence[str] = ()
    lost_in: Sequence[int] = ()
    away: Sequence[Away] = ()


@dataclass
class ArchiveGap:
    """Closes the gap on the primary of this node."""

    stanza: str
    timeout: float = 60.0
    server: Server = field(default_factory=Server)
    config: Path = CONFIG

    def close(self, timeline: int, check_mode: bool = False) -> Closed:
        """Push what is missing of the ancestors of ``timeline`` to each repository.

        In check mode nothing is pushed, and what is returned is what would be. The history of ``timeline`` is among it
        where the archive began anew after the server had archived it: it does so once, at its promotion.
        """
        if timeline == 1:
            return Closed()
        numbers = repositories(self.config)
        if len(numbers) == 1:
            self._wait_for_history()
        # With two it is never archived for as long as one of them is away: whatever has not got it yet gets it here.
        found, away = each(numbers, lambda number: self._close_in(number, timeline, check_mode))
        return Closed(
            sorted({name for pushed, _lost in found.values() for name in pushed}),
            sorted({name for _pushed, lost in found.values() for name in lost}),
            [number for number, (_pushed, lost) in found.items() if lost],
            away,
        )

    def _close_in(self, repository: int, timeline: int, check_mode: bool) -> tuple[list[str], list[str]]:
        archive = Archive.newest(PgBackRest(self.stanza, self.config, repository), self.timeout)
        if archive is None:
            raise RelevoError(f"The repository has no archive of the stanza {self.stanza}. Run site.yml.")
        own = self.server.pgdata / "pg_wal" / history_name(timeline)
        known = archive.history(timeline) is not None
        if not known and not check_mode:
            self._push(archive.pgbackrest, own)
        history = parse_history(own.read_text())
        others = [number for number in repositories(self.config) if number != repository]
        pushed, lost = self._close(archive, history, check_mode, every=bool(others))
        if others and not check_mode:
            ways = [name for fork in history if archive.history(fork.timeline) is None if (name := _way_to(fork))]
            copied = self._copy([*ways, *lost], archive.pgbackrest, others)
            pushed, lost = [*pushed, *copied], [name for name in lost if name not in copied]
        return [*([] if known else [own.name]), *pushed], lost

    def _copy(self, names: Sequence[str], to: PgBackRest, others: Sequence[int]) -> list[str]:
        """Give a repository what another one has: what came while it was away, and no server holds any more."""
        copied = []
        with TemporaryDirectory(prefix="relevo-", dir=self.server.pgdata.parent) as folder:
            os.chown(folder, *owner_of(self.server.pgdata))
            for name in names:
                if any(self._fetched(number, name, Path(folder)) for number in others):
                    self._push(to, Path(folder, name))
                    Path(folder, name).unlink()
                    copied.append(name)
        return copied

    def _fetched(self, repository: int, name: str, folder: Path) -> bool:
        words = [name, str(folder / name)]
        pgbackrest = PgBackRest(self.stanza, self.config, repository)
        return not pgbackrest.try_run("archive-get", "--no-archive-async", words=words, timeout=self.timeout).returncode

    def _close(
        self, archive: Archive, history: Sequence[Fork], check_mode: bool, every: bool = False
    ) -> tuple[list[str], list[str]]:
        """``every``: look at all timelines, since a repository of two may have been away when one of them ended."""
        wal = self.server.pgdata / "pg_wal"
        local = {path.name for path in wal.iterdir() if SEGMENT.fullmatch(path.name)}
        # An older timeline of which nothing is left here was dealt with when it ended.
        relevant = {int(name[:8], 16) for name in local} | {history[-1].timeline}
        if every:
            relevant |= {fork.timeline for fork in history}
        archived = set(archive.segments(*sorted(relevant & {fork.timeline for fork in history})))
        oldest = oldest_needed(archive.pgbackrest.require_stanza(self.timeout)["backup"], archived)
        if oldest is None:
            return [], []
        pushed, lost = [], []
        needed = [name for span in spans(history, oldest) if span.timeline in relevant for name in span.names()]
        for name in needed:
            if name in local and name not in archived:
                if not check_mode:
                    self._push(archive.pgbackrest, wal / name)
                pushed.append(name)
            elif name not in archived:
                lost.append(name)
        return pushed, lost

    def _push(self, pgbackrest: PgBackRest, path: Path) -> None:
        try:
            different = not push(pgbackrest, path, self.timeout)
        except RelevoError as error:
            raise RelevoError(
                f"{error.message} Until it is there a restore would end before it. Fix the repository, then run this "
                "again."
            ) from error
        if different:
            raise RelevoError(f"{path.name} is in the archive with another content by now. Run this again.")

    def _wait_for_history(self) -> None:
        """The server archives its timeline's history itself, first of all."""
        status = self.server.pgdata / "pg_wal" / "archive_status"
        wait_until(
            lambda: not any(status.glob("*.history.ready")),
            "the timeline's history to be archived (see the server's log and the repository)",
            self.timeout,
        )
