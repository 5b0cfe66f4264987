# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL archive of a stanza as the repository shows it: on the repository host, and over TLS on every server."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .._errors import RelevoError
from .._recovery_window import Hole
from .._server.lsn import SEGMENT, SEGMENT_SIZE, Fork, history_name, parse_history, segment_name, segment_start
from .._wait import wait_until
from .away import Away, answering, each
from .command import CONFIG, FIRST, config_of, repositories
from .pgbackrest import Finished, PgBackRest, parse_config

#: A segment, its checksum, and how it is compressed.
_SEGMENT = re.compile(rf"^({SEGMENT.pattern})-[0-9a-f]{{40}}(?:\.\w+)?$")
_TIMELINE_NAME = re.compile(r"^([0-9A-F]{8})(?:[0-9A-F]{8}|\.history)$")
_ARCHIVE_ID = re.compile(r"^\d+(?:\.\d+)?-(\d+)$")
#: Seconds within which what is on its way arrives. What has not arrived then is missing.
ARRIVAL = 3.0
#: More segments than are archived at a time.
IN_FLIGHT = 32
#: pgBackRest's exit code for "the archive holds this file with another content".
EXIT_DUPLICATE = 45
#: Seconds for a server that pushes asynchronously to let go of the archive: with a repository that is away each of its
#: attempts takes as long as pgBackRest's io-timeout, and then it makes a pause.
OTHERS_PUSH = 180.0


@dataclass
class Archive:
    """The WAL archive of a stanza, for its newest database: what it holds, and which timeline is the newest."""

    pgbackrest: PgBackRest
    identifier: str
    timeout: float = 10

    @classmethod
    def newest(cls, pgbackrest: PgBackRest, timeout: float = 10) -> Archive | None:
        """The archive of the stanza's newest database; None before anything was archived."""
        names = pgbackrest.names(f"archive/{pgbackrest.stanza}", timeout)
        identifier = newest_archive_id(names)
        return None if identifier is None else cls(pgbackrest, identifier, timeout)

    @property
    def path(self) -> str:
        return f"archive/{self.pgbackrest.stanza}/{self.identifier}"

    def timelines(self) -> list[int]:
        """The timelines that have a segment or a history file, ascending."""
        return timelines_of(self.pgbackrest.names(self.path, self.timeout))

    def newest_timeline(self) -> int | None:
        return max(self.timelines(), default=None)

    def segments(self, *timelines: int) -> list[str]:
        """The names of the complete segments of some timelines, ascending."""
        if not timelines:
            return []
        # A folder holds 256 segments: to ask for each of them would take long for a timeline of years.
        wanted = "|".join(f"{timeline:08X}" for timeline in timelines)
        paths = self.pgbackrest.names(self.path, self.timeout, below=f"^({wanted})[0-9A-F]{{8}}/")
        return sorted(segments_of([path.rpartition("/")[2] for path in paths]))

    def holds(self, segment: str) -> bool:
        """Whether it has this segment, whole. Asked again and again while one is waited for: so of its folder alone."""
        return segment in self.held([segment])

    def held(self, segments: Iterable[str]) -> set[str]:
        """The complete segments of the folders that these are of: a folder holds 256."""
        folders = sorted({segment[:16] for segment in segments})
        names = [name for folder in folders for name in self.pgbackrest.names(f"{self.path}/{folder}", self.timeout)]
        return set(segments_of(names))

    def files(self) -> dict[str, float]:
        """By name, when each complete segment and each history file was archived (seconds since 1970)."""
        below = rf"({SEGMENT.pattern}-[0-9a-f]{{40}}(\.[a-z0-9]+)?|[0-9A-F]{{8}}\.history)$"
        found = self.pgbackrest.times(self.path, below, self.timeout)
        return {path.rpartition("/")[2].partition("-")[0]: stored for path, stored in found.items()}

    def history(self, timeline: int) -> str | None:
        """The text of a timeline's history file; None when it is not in the archive."""
        return self.pgbackrest.get(f"{self.path}/{history_name(timeline)}", self.timeout)


@dataclass(frozen=True)
class Span:
    """The whole segments of one timeline, from ``first`` up to but not including the one in which it ended."""

    timeline: int
    first: int
    end: int

    def names(self) -> list[str]:
        return [segment_name(self.timeline, number * SEGMENT_SIZE) for number in range(self.first, self.end)]


def spans(history: Sequence[Fork], oldest: int) -> list[Span]:
    """What the archive must hold of the ancestors, newest first; ``oldest`` is the first segment number that matters.

    The segment in which a timeline ended is not needed of it: the successor's first segment begins with the same bytes.
    """
    found = []
    start = 0
    for fork in history:
        found.append(Span(fork.timeline, max(start // SEGMENT_SIZE, oldest), fork.end // SEGMENT_SIZE))
        start = fork.end
    return [span for span in reversed(found) if span.first < span.end]


def holes(segments: Collection[str], history: Sequence[Fork], starts: Iterable[str]) -> list[Hole]:
    """What is missing between the first of ``starts``, the first segments of backups, and the newest segment.

    ``history``: the ancestors of the newest timeline of ``segments``. A backup of another branch needs what nobody has.
    """
    if not segments:
        return []
    newest = max(segments)
    timeline, end = int(newest[:8], 16), segment_start(newest) // SEGMENT_SIZE + 1
    lineage = [*history, Fork(timeline, end * SEGMENT_SIZE)]
    known = {fork.timeline for fork in lineage}
    oldest = min((segment_start(name) // SEGMENT_SIZE for name in starts if int(name[:8], 16) in known), default=None)
    if oldest is None:
        return []
    needed = [name for span in reversed(spans(lineage, oldest)) for name in span.names()]
    found: list[Hole] = []
    missing: list[str] = []
    for name in [*needed, newest]:
        if name not in segments:
            missing.append(name)
        elif missing:
            found.append(Hole(missing[0], missing[-1], len(missing)))
            missing = []
    return found


def _unknown_way(segments: Sequence[str], history: str | None) -> list[Hole]:
    """Where the newest timeline begins and its ``history`` is missing: from a backup before that nothing leads on."""
    newest = int(max(segments)[:8], 16) if segments else 1
    if newest == 1 or history is not None:
        return []
    first = min(name for name in segments if int(name[:8], 16) == newest)
    return [Hole(first, first, 1, history_name(newest))]


def archive_holes(pgbackrest: PgBackRest, starts: Iterable[str], timeout: float = 10) -> list[Hole]:
    """The holes in the archive of the stanza's newest database; ``starts``: the first segments of its backups.

    Several segments are archived at a time (``archive-async``), so the newest may be there before those before it.
    """
    archive = Archive.newest(pgbackrest, timeout)
    starts = [name for name in starts if name]
    if archive is None or not starts:
        return []

    def look() -> list[Hole]:
        segments = archive.segments(*archive.timelines())
        history = archive.history(int(max(segments)[:8], 16)) if segments else None
        return [*_unknown_way(segments, history), *holes(set(segments), parse_history(history or ""), starts)]

    def on_its_way() -> bool:
        return any(hole.count < IN_FLIGHT for hole in look()[-1:])

    if on_its_way():
        try:
            wait_until(lambda: not on_its_way(), "segments to arrive", ARRIVAL, interval=0.5)
        except RelevoError:
            # They have not arrived, and so they are missing.
            return look()
    return look()


def push(pgbackrest: PgBackRest, path: Path, timeout: float) -> bool:
    """Archive a segment or a history file; False where the archive holds it with another content, which it keeps.

    Not asynchronously: that pushes what the server has marked as ready, and waits for a file that has no such mark.
    Nor is it dropped and told as archived for what waits behind it (``archive-push-queue-max``).
    """

    def attempt() -> Finished:
        words = [str(path)]
        options = ("--no-archive-async", "--reset-archive-push-queue-max")
        return pgbackrest.try_run("archive-push", *options, words=words, timeout=timeout, level="error")

    what = f"the archive to take {path.name}, while another server pushes to it"
    called = pgbackrest.try_when_free(attempt, what, OTHERS_PUSH)
    if called.returncode not in (0, EXIT_DUPLICATE):
        reason = called.stderr.strip().rstrip(".") or f"exit {called.returncode}"
        raise RelevoError(f"{path.name} could not be archived: {reason}.")
    return called.returncode == 0


def newest_timeline_anywhere(
    stanza: str, timeout: float = 10, config: Path = CONFIG, likely: str = ""
) -> tuple[int, list[Away]]:
    """The newest timeline that any repository of this host knows, and which do not answer.

    ``likely``: see ``newest_archived_timeline``. Raises ``RelevoError`` where none does.
    """
    found, away = each(
        repositories(config),
        lambda number: newest_archived_timeline(PgBackRest(stanza, config, number), timeout, likely),
        at_once=True,
    )
    return max(found.values()), away


def newest_segment_anywhere(stanza: str, timeout: float = 10, config: Path = CONFIG) -> tuple[str | None, list[Away]]:
    """The newest segment of the newest timeline that any repository of this host knows, and which do not answer.

    One that was away has an older one. None while the timeline has none. Raises ``RelevoError`` where none answers.
    """

    def newest(number: int) -> tuple[int, str]:
        archive = Archive.newest(PgBackRest(stanza, config, number), timeout)
        timeline = archive.newest_timeline() if archive else None
        segments = archive.segments(timeline) if archive and timeline else []
        return timeline or 0, segments[-1] if segments else ""

    found, away = each(repositories(config), newest, at_once=True)
    return max(found.values())[1] or None, away


def config_that_answers(stanza: str, config: Path = CONFIG) -> Path:
    """The configuration by which a recovering server asks those repositories for WAL that answer now.

    ``archive-get`` asks each for each file, also when it has found it (pgBackRest's src/command/archive/get/get.c), and
    one that hangs up to 18 times ``io-timeout``: six minutes for a file, in which a server seems to wait for one that
    never comes. That of all where all answer, or none.
    """
    try:
        there, away = answering(stanza, repositories(config), config)
    except RelevoError:
        # Whoever comes back first is the one to ask.
        return config
    return config_of(there[0], config) if away else config


def in_repository(segment: str, repository: int = FIRST, timeout: float = 10, config: Path = CONFIG) -> bool:
    """Whether this one of two repositories has a segment of this node's server.

    ``pg_stat_archiver`` counts a segment once all have it, so for as long as one is away it says nothing of the other.
    With a single repository it says all there is to say, and nobody is asked. One that does not answer has nothing.
    """
    if len(repositories(config)) == 1:
        return False
    # A server's configuration knows one stanza.
    stanzas = (name for name in parse_config(config.read_text()).sections() if not name.startswith("global"))
    try:
        archives = [Archive.newest(PgBackRest(stanza, config, repository), timeout) for stanza in stanzas]
        return any(one is not None and one.holds(segment) for one in archives)
    except RelevoError:
        return False


def newest_archived_timeline(pgbackrest: PgBackRest, timeout: float = 10, likely: str = "") -> int:
    """The newest timeline of the stanza's newest database, 0 without an archive; ``timeout`` for each question.

    ``likely``: what its directory in the archive is called as far as the caller can tell. Writers may wait, so it is
    asked at the same time, and its answer counts where it turns out to be the newest one.
    """
    with ThreadPoolExecutor(max_workers=1) as asking:
        guessed = asking.submit(Archive(pgbackrest, likely, timeout).timelines) if likely else None
        archive = Archive.newest(pgbackrest, timeout)
        if archive is None:
            return 0
        timelines = guessed.result() if guessed and archive.identifier == likely else archive.timelines()
    return max(timelines, default=0)


def newest_archive_id(names: Sequence[str]) -> str | None:
    """Of ``18-1``, ``18-2``, … the one of the newest database id; other names are passed over."""
    found = [(int(match[1]), name) for name in names if (match := _ARCHIVE_ID.match(name))]
    return max(found)[1] if found else None


def timelines_of(names: Sequence[str]) -> list[int]:
    """The timelines of a database's directory in the archive: of its directories and history files."""
    return sorted({int(match[1], 16) for name in names if (match := _TIMELINE_NAME.match(name))})


def segments_of(names: Sequence[str]) -> list[str]:
    """The segments among a directory's names; partial ones and backup labels are passed over."""
    return [match[1] for name in names if (match := _SEGMENT.match(name))]
