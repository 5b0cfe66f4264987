"""Whether a restore could go from a backup to now: the segments that the archive must hold, along the history."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from cluster import REPOSITORY, shell

SEGMENT_SIZE = 16 * 1024 * 1024
PER_ID = 0x100000000 // SEGMENT_SIZE
SEGMENT = re.compile(r"(?:^|/)([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?$")
HISTORY = re.compile(r"^(\d+)\s+([0-9A-F]+)/([0-9A-F]+)", re.MULTILINE)


def number_of(segment: str) -> int:
    return int(segment[8:16], 16) * PER_ID + int(segment[16:24], 16)


def name_of(timeline: int, number: int) -> str:
    return f"{timeline:08X}{number // PER_ID:08X}{number % PER_ID:08X}"


def chain(start: str, end: str, history: str) -> list[str]:
    """The names of the segments from ``start`` to ``end`` along the history file of the timeline of ``end``.

    Where a timeline forks within a segment, the successor's segment of the same number holds the same bytes up to
    there, so of the predecessor it is not needed.
    """
    forks = [
        (int(row[0]), (int(row[1], 16) << 32 | int(row[2], 16)) // SEGMENT_SIZE) for row in HISTORY.findall(history)
    ]
    forks.append((int(end[:8], 16), number_of(end) + 1))
    known = [timeline for timeline, _end in forks]
    first = int(start[:8], 16)
    if first not in known:
        raise AssertionError(f"timeline {first} of the backup is not in the history of timeline {known[-1]}")
    needed, number = [], number_of(start)
    for timeline, until in forks[known.index(first) :]:
        needed += [name_of(timeline, position) for position in range(number, until)]
        number = max(number, until)
    return needed


def hole(start: str, end: str, history: str, archived: Iterable[str]) -> list[str]:
    """The segments of the chain that are not among the files of the archive."""
    held = {match[1] for name in archived if (match := SEGMENT.search(name))}
    return [segment for segment in chain(start, end, history) if segment not in held]


# --- asking the repository -------------------------------------------------------------------------------------------


def backups() -> list[dict[str, dict[str, str]]]:
    output = shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres")
    found: list[dict[str, dict[str, str]]] = json.loads(output)[0]["backup"]
    return found


def archive_hole(start: str) -> list[str]:
    """What the archive lacks between ``start``, a backup's first segment, and the end of the newest backup."""
    known = backups()
    # What retention has expired nobody misses.
    oldest = min((backup["archive"]["start"] for backup in known), key=number_of)
    start = max(start, oldest, key=number_of)
    end = known[-1]["archive"]["stop"]
    script = """
set -eu
cd "$(ls -d /var/lib/pgbackrest/archive/main/17-*)"
if [ -e "$1.history" ]; then cat "$1.history"; fi
echo ==
find . -follow -type f
"""
    history, names = shell(REPOSITORY, "sh", "-c", script, "sh", end[:8], user="postgres").split("==\n")
    return hole(start, end, history, names.split())
