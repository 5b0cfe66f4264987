# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL archive of a stanza as the repository shows it: on the repository host, and over TLS on every server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .._errors import RelevoError
from .._server.lsn import SEGMENT, history_name
from .pgbackrest import PgBackRest

#: A segment, its checksum, and how it is compressed.
_SEGMENT = re.compile(rf"^({SEGMENT.pattern})-[0-9a-f]{{40}}(?:\.\w+)?$")
_TIMELINE_NAME = re.compile(r"^([0-9A-F]{8})(?:[0-9A-F]{8}|\.history)$")
_ARCHIVE_ID = re.compile(r"^\d+(?:\.\d+)?-(\d+)$")
#: pgBackRest's exit code for "the archive holds this file with another content".
EXIT_DUPLICATE = 45


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

    def history(self, timeline: int) -> str | None:
        """The text of a timeline's history file; None when it is not in the archive."""
        return self.pgbackrest.get(f"{self.path}/{history_name(timeline)}", self.timeout)


def push(pgbackrest: PgBackRest, path: Path, timeout: float) -> bool:
    """Archive a segment or a history file; False where the archive holds it with another content, which it keeps.

    Not asynchronously: that pushes what the server has marked as ready, and waits for a file that has no such mark.
    """
    called = pgbackrest.try_run("archive-push", "--no-archive-async", words=[str(path)], timeout=timeout, level="error")
    if called.returncode not in (0, EXIT_DUPLICATE):
        reason = called.stderr.strip().rstrip(".") or f"exit {called.returncode}"
        raise RelevoError(f"{path.name} could not be archived: {reason}.")
    return called.returncode == 0


def newest_archived_timeline(pgbackrest: PgBackRest, timeout: float = 10) -> int:
    """The newest timeline of the stanza's newest database, 0 without an archive; ``timeout`` for each question."""
    archive = Archive.newest(pgbackrest, timeout)
    return (archive.newest_timeline() if archive else None) or 0


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
