# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Abandoned timelines: the archive knows them, and no server follows them.

A promotion takes the number after the newest timeline of which it finds a history file; without a ``restore_command``
it looks into ``pg_wal`` only (PostgreSQL's xlog.c and timeline.c: ``StartupXLOG``, ``findNewestTimeLine``). A number
that the archive knows already would be given to another history, whose files the archive then refuses for good. So
before a promotion the numbers in between are reserved by files that are the history of nothing: the text from the
archive could lead the candidate onto that timeline, where it forks off ahead of it.
"""

from __future__ import annotations

from pathlib import Path

from .._durable import write_file
from .lsn import history_name, timeline_of_history
from .server import Server

# A comment to PostgreSQL, so a history without ancestors: nobody descends from it, and it descends from nobody.
# It is compared with what is on a node's disk, which an older version may have written: it never changes.
TEXT = "# relevo: this timeline was given up; the file keeps its number from being used again\n"


def unreserved(server: Server, local: int, newest: int) -> list[int]:
    """The timeline numbers after ``local``, the server's own, up to ``newest`` that a promotion could still use."""
    return [number for number in range(local + 1, newest + 1) if not _path(server, number).exists()]


def reserve(server: Server, local: int, newest: int) -> list[int]:
    """Reserve what is ``unreserved``; returns the numbers. Safe to repeat."""
    numbers = unreserved(server, local, newest)
    for number in numbers:
        write_file(_path(server, number), TEXT)
    return numbers


def release(server: Server, local: int) -> list[int]:
    """Undo ``reserve`` for a server that was not promoted; returns the numbers.

    A standby that starts looks for the newest timeline at once, and ends when it does not descend from that.
    """
    found = [timeline_of_history(path.name) or 0 for path in _histories(server) if _is_reserved(path)]
    newer = sorted(number for number in found if number > local)
    for number in newer:
        _path(server, number).unlink()
    return newer


def any_reserved(server: Server) -> bool:
    """Whether any number is reserved here."""
    return any(map(_is_reserved, _histories(server)))


def _is_reserved(path: Path) -> bool:
    return path.read_text(errors="replace") == TEXT


def _path(server: Server, timeline: int) -> Path:
    return server.pgdata / "pg_wal" / history_name(timeline)


def _histories(server: Server) -> list[Path]:
    return sorted((server.pgdata / "pg_wal").glob("*.history"))
