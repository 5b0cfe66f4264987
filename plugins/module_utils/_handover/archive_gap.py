# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the archive lacks and a primary still has: the gap that a dead primary leaves, and what was dropped.

A streaming standby marks the segments that it receives as archived. When the primary dies before it archived them,
nobody ever does: ``check`` and ``verify`` pass, a restore starts cleanly, and every row of those segments is gone.
The successor still has them in its ``pg_wal``, so it pushes them; ``archive-push`` of a segment that is archived
already is harmless when the contents agree.

Of its own timeline a server archives everything itself, and yet ``archive-push-queue-max`` makes pgBackRest drop a
segment and say that it is archived. Until the next checkpoints recycle it, the server has it, and can push it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .._errors import RelevoError
from .._repository.archive import Archive, push, spans
from .._repository.away import Away, each_that_answers
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


def still_lost(
    lost: Iterable[str], backups: Iterable[Mapping[str, Any]], history: Sequence[Fork], own: int
) -> list[str]:
    """Of the segments that are lost, those after the beginning of the newest backup of this branch.

    What is lost before it is in the way of no restore that begins at it: with two repositories, whose older timelines
    are looked at each time, it would otherwise cost another full backup at each hand-over.
    """
    ends = {fork.timeline: fork.end for fork in history}
    starts = [str(name) for backup in backups if (name := backup["archive"]["start"])]
    ours = [
        segment_start(name)
        for name in starts
        if (timeline := int(name[:8], 16)) == own or segment_start(name) < ends.get(timeline, 0)
    ]
    newest = max(ours, default=0)
    return [name for name in lost if segment_start(name) >= newest]


@dataclass(frozen=True)
class Closed:
    """What was pushed and what is lost, by the names of the files; the repositories that lost some, and those away."""

    pushed: Sequence[str] = ()
    lost: Sequence[str] = ()
    lost_in: Sequence[int] = ()
    away: Sequence[Away] = ()


@dataclass
class Seen:
    """One repository's archive: the segments that it has, what was pushed to it, what is missing and not here.

    ``failure``: why it failed after it had answered.
    """

    archive: Archive
    backups: Sequence[Mapping[str, Any]] = ()
    archived: set[str] = field(default_factory=set)
    pushed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    #: What is in its directory, the histories of timelines among it; looked at where there are several.
    names: set[str] = field(default_factory=set)
    failure: str = ""


@dataclass
class ArchiveGap:
    """Closes the gap on the primary of this node."""

    stanza: str
    timeout: float = 60.0
    server: Server = field(default_factory=Server)
    config: Path = CONFIG

    def close(self, timeline: int, check_mode: bool = False) -> Closed:
        """Push what is missing of ``timeline`` and of its ancestors to each repository.

        Lost is what is missing of the ancestors alone: of its own timeline a server is archiving, and of what was
        dropped on purpose ``status.yml`` tells (``archive-hole``).

        In check mode nothing is pushed, and what is returned is what would be. The history of ``timeline`` is among it
        where the archive began anew after the server had archived it: it does so once, at its promotion.
        """
        numbers = repositories(self.config)
        several = len(numbers) > 1
        if not several:
            self._wait_for_history()
        # With two it is never archived for as long as one of them is away: whatever has not got it yet gets it here.
        found, away = each_that_answers(
            self.stanza,
            numbers,
            lambda number: self._close_in(number, timeline, check_mode, every=several),
            self.config,
        )
        if several:
            history = self._lineage(timeline)
            # After all that needs no other one, which may hang.
            for number in found:
                self._complete(number, found, history, check_mode)
            away += [Away(number, seen.failure) for number, seen in found.items() if seen.failure]
            found = {number: seen for number, seen in found.items() if not seen.failure}
            for seen in found.values():
                seen.missing = still_lost(seen.missing, seen.backups, history, timeline)
        return Closed(
            # Each once, in the order in which it was.
            list(dict.fromkeys(name for seen in found.values() for name in seen.pushed)),
            list(dict.fromkeys(name for seen in found.values() for name in seen.missing)),
            [number for number, seen in found.items() if seen.missing],
            away,
        )

    def _history(self, timeline: int) -> Path:
        return self._wal / history_name(timeline)

    def _lineage(self, timeline: int) -> list[Fork]:
        """The ancestors. The first timeline has none, and no history."""
        return [] if timeline == 1 else parse_history(self._history(timeline).read_text())

    def _close_in(self, repository: int, timeline: int, check_mode: bool, every: bool) -> Seen:
        """Push what this node has."""
        archive = Archive.newest(PgBackRest(self.stanza, self.config, repository), self.timeout)
        if archive is None:
            raise RelevoError(f"The repository has no archive of the stanza {self.stanza}. Run site.yml.")
        way = self._history(timeline)
        known = timeline == 1 or archive.history(timeline) is not None
        if not known and not check_mode:
            self._push(archive.pgbackrest, way)
        seen = self._close(archive, timeline, check_mode, every)
        seen.pushed = [*([] if known else [way.name]), *seen.pushed]
        return seen

    def _complete(self, repository: int, found: Mapping[int, Seen], history: Sequence[Fork], check_mode: bool) -> None:
        """Copy from the others what a repository lacks and no server has any more."""
        seen = found[repository]
        for number, other in found.items():
            if number == repository or other.failure or seen.failure:
                continue
            ways = {name for fork in history if (name := _way_to(fork))}
            names = [*sorted((ways & other.names) - seen.names)]
            names += [name for name in seen.missing if name in other.archived]
            copied = names if check_mode else self._copy(names, seen, other)
            seen.pushed += copied
            # What could not be copied from one that has it is not lost.
            seen.missing = [name for name in seen.missing if name not in names]

    def _copy(self, names: Sequence[str], to: Seen, source: Seen) -> list[str]:
        """Give a repository what another one has: what came while it was away, and no server holds any more."""
        if not names:
            return []
        copied: list[str] = []
        with TemporaryDirectory(prefix="relevo-", dir=self.server.pgdata.parent) as folder:
            os.chown(folder, *owner_of(self.server.pgdata))
            for name in names:
                guilty = source
                try:
                    self._fetch(source.archive.pgbackrest, name, Path(folder))
                    guilty = to
                    self._push(to.archive.pgbackrest, Path(folder, name))
                except RelevoError as error:
                    # One that hangs would do so for each.
                    guilty.failure = error.message
                    break
                Path(folder, name).unlink()
                copied.append(name)
        return copied

    def _fetch(self, source: PgBackRest, name: str, folder: Path) -> None:
        source.run("archive-get", "--no-archive-async", words=[name, str(folder / name)], timeout=self.timeout)

    def _close(self, archive: Archive, timeline: int, check_mode: bool, every: bool) -> Seen:
        """``every``: look at all timelines, since a repository of two may have been away when one of them ended."""
        history = self._lineage(timeline)
        local = {path.name for path in self._wal.iterdir() if SEGMENT.fullmatch(path.name)}
        own = self._given_away(timeline, local)
        # An older timeline of which nothing is left here was dealt with when it ended.
        relevant = {int(name[:8], 16) for name in local} | {fork.timeline for fork in history[-1:]}
        if every:
            relevant |= {fork.timeline for fork in history}
        archived = set(archive.segments(*sorted(relevant & {fork.timeline for fork in history})))
        # A timeline may be years old, and here is its end: those are the folders that are looked into.
        archived |= archive.held(own)
        backups = archive.pgbackrest.require_stanza(self.timeout)["backup"]
        seen = Seen(archive, backups, archived)
        if every:
            seen.names = set(archive.pgbackrest.names(archive.path, self.timeout))
        oldest = oldest_needed(backups, archived)
        if oldest is None:
            return seen
        needed = [name for span in spans(history, oldest) if span.timeline in relevant for name in span.names()]
        dropped = [name for name in own if segment_start(name) // SEGMENT_SIZE >= oldest]
        for name in [*needed, *dropped]:
            if name in archived:
                continue
            if name in local and (check_mode or self._push_here(archive.pgbackrest, name)):
                seen.pushed.append(name)
            elif name in needed:
                seen.missing.append(name)
        return seen

    @property
    def _wal(self) -> Path:
        return self.server.pgdata / "pg_wal"

    def _given_away(self, timeline: int, local: Iterable[str]) -> list[str]:
        """The whole segments of the server's own timeline that it takes for archived and still has, ascending.

        What it has not archived yet is its own work. A file without a status is one that it writes, or has prepared.
        """
        status = self._wal / "archive_status"
        return sorted(name for name in local if int(name[:8], 16) == timeline and (status / f"{name}.done").exists())

    def _push_here(self, pgbackrest: PgBackRest, name: str) -> bool:
        """Push a segment of this server; False where the server has recycled it meanwhile.

        The server renames a segment that it needs no more, and writes the next one into the same file. A copy that was
        whole while the name was still there is of this segment and of no other one.
        """
        with TemporaryDirectory(prefix="relevo-", dir=self.server.pgdata.parent) as folder:
            os.chown(folder, *owner_of(self.server.pgdata))
            copy = Path(folder, name)
            try:
                shutil.copyfile(self._wal / name, copy)
                (self._wal / name).stat()
            except FileNotFoundError:
                return False
            os.chown(copy, *owner_of(self.server.pgdata))
            self._push(pgbackrest, copy)
        return True

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
        status = self._wal / "archive_status"
        wait_until(
            lambda: not any(status.glob("*.history.ready")),
            "the timeline's history to be archived (see the server's log and the repository)",
            self.timeout,
        )
