# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Positions in the write-ahead log, and the history of timelines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Bytes of a WAL segment. ``initdb --wal-segsize`` could choose another size; our role does not.
SEGMENT_SIZE = 16 * 1024 * 1024
#: The name of a segment; of one that a promotion or a receiver left unfinished with ``.partial`` after it.
SEGMENT = re.compile(r"[0-9A-F]{24}")
#: What a history file says of a timeline that was left at the end of its WAL.
_NO_TARGET = "no recovery target specified"
_HISTORY = re.compile(r"([0-9A-F]{8})[.]history")
#: SQL: the timeline that a primary writes, a number. ``pg_control_checkpoint()`` has it only after the next checkpoint.
CURRENT_TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"


def parse_lsn(text: str) -> int:
    """``16/B374D848`` as a number of bytes."""
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def format_lsn(lsn: int) -> str:
    """A number of bytes as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True)
class Fork:
    """A line of a history file: ``timeline`` ended at ``end``, where its successor begins.

    ``at_target``: a recovery stopped there by itself, so ``timeline`` may go on; a promotion found its end there.
    """

    timeline: int
    end: int
    at_target: bool = field(default=False, compare=False)


def parse_history(text: str) -> list[Fork]:
    """The ancestors that a ``.history`` file lists, oldest first, each with its end in this history.

    A recovery that follows a timeline and stops before that one begins is written as its child. What the ancestors
    before it had from there on belongs to none of this history, and of the timeline itself there is nothing in it.

    Source: PostgreSQL's src/backend/access/transam/timeline.c, ``readTimeLineHistory``; the reason is that of
    ``getRecoveryStopReason`` (xlogrecovery.c).
    """
    forks: list[Fork] = []
    for line in text.splitlines():
        fields = line.split("#", 1)[0].split(maxsplit=2)
        if len(fields) >= 2:
            at_target = len(fields) > 2 and fields[2].strip() != _NO_TARGET
            last = Fork(int(fields[0]), parse_lsn(fields[1]), at_target)
            forks = [fork if fork.end <= last.end else Fork(fork.timeline, last.end, at_target) for fork in forks]
            forks.append(last)
    return forks


def history_name(timeline: int) -> str:
    """The file name of a timeline's history."""
    return f"{timeline:08X}.history"


def timeline_of_history(name: str) -> int | None:
    """The timeline of which a file is the history, from its name; None for any other file."""
    found = _HISTORY.fullmatch(name)
    return int(found[1], 16) if found else None


def segment_name(timeline: int, lsn: int, segment_size: int = SEGMENT_SIZE) -> str:
    """The file name of the segment that holds ``lsn``."""
    number = lsn // segment_size
    per_id = 0x100000000 // segment_size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def segment_start(name: str, segment_size: int = SEGMENT_SIZE) -> int:
    """The first position in a segment, from its file name."""
    per_id = 0x100000000 // segment_size
    return (int(name[8:16], 16) * per_id + int(name[16:24], 16)) * segment_size
