# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To which moments one can restore: from what pgBackRest says of its backups, and from the holes in its archive.

Moments are those of ``timestamp``, seconds since 1970. The time in a label is the repository host's local time, which
is another one after its time zone has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Hole:
    """Segments that are missing in the archive, from the first to the last.

    ``history``: the file that is missing where the segments are there, and nobody knows what leads to them.
    """

    first: str
    last: str
    count: int
    history: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Hole:
        return cls(str(given["first"]), str(given["last"]), int(given["count"]), str(given.get("history") or ""))


@dataclass(frozen=True)
class Loss:
    """What a hole costs: moments between ``after`` and ``before`` cannot be reached.

    None: there is no backup before it, or none after it.
    """

    hole: Hole
    after: datetime | None
    before: datetime | None


@dataclass(frozen=True)
class Window:
    """Every moment since ``since`` can be reached: up to now, or with ``ended`` only up to the end of the ``newest``
    backup.

    ``oldest``: the label of the backup that ``since`` is the end of.
    """

    since: datetime
    newest: datetime
    oldest: str
    ended: bool = False


def of_newest_system(
    backups: Iterable[Mapping[str, Any]], databases: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The backups of the stanza's newest cluster: from another one's, WAL does not lead to now.

    ``databases``: the list ``db`` of ``info``, whose last is the newest. Where it is not known, all backups.
    """
    return of_system(backups, databases, str(databases[-1]["system-id"])) if databases else list(backups)


def of_system(
    backups: Iterable[Mapping[str, Any]], databases: Sequence[Mapping[str, Any]], system_identifier: str
) -> list[Mapping[str, Any]]:
    """The backups of the cluster with that system identifier; ``databases`` as above."""
    systems = {(int(db.get("repo-key", 1)), int(db["id"])): str(db["system-id"]) for db in databases}

    def is_its(backup: Mapping[str, Any]) -> bool:
        database = backup.get("database") or {}
        return systems.get((int(database.get("repo-key", 1)), int(database.get("id", 0)))) == system_identifier

    return [backup for backup in backups if is_its(backup)]


def is_recoverable(backup: Mapping[str, Any]) -> bool:
    """Whether a backup ended, without an error, and WAL can be replayed on it. ``info`` lists others, too."""
    return bool(
        (backup.get("annotation") or {}).get("relevo-consistent") != "false"
        and not backup.get("error")
        and (backup.get("lsn") or {}).get("stop")
        and (backup.get("archive") or {}).get("start")
    )


def _position(segment: str) -> str:
    """Where a segment lies in the WAL, whatever its timeline."""
    return segment[8:24]


def _stop(backup: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(backup["timestamp"]["stop"]), UTC)


def _wal(backup: Mapping[str, Any], end: str) -> str:
    """The position of the first (``start``) or last (``stop``) segment of a backup; empty for one without WAL."""
    return _position((backup.get("archive") or {}).get(end) or "")


def _usable(backups: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        backup
        for backup in backups
        if backup.get("timestamp") and (backup.get("annotation") or {}).get("relevo-consistent") != "false"
    ]


def window_of(backups: Iterable[Mapping[str, Any]], holes: Sequence[Hole] = ()) -> Window | None:
    """The newest stretch without a hole; None without a backup to begin from. ``backups``: as ``info`` lists them."""
    usable = _usable(backups)
    if not usable:
        return None
    last = max((_position(hole.last) for hole in holes), default="")
    whole = [backup for backup in usable if _wal(backup, "start") > last] if last else usable
    if whole:
        first = min(whole, key=_stop)
        return Window(_stop(first), max(map(_stop, usable)), str(first["label"]))
    # Nothing begins after the last hole: what there was until then is what there is.
    before = [backup for backup in usable if "" < _wal(backup, "stop") < _position(holes[-1].first)]
    earlier = window_of(before, holes[:-1]) if before else None
    return Window(earlier.since, earlier.newest, earlier.oldest, True) if earlier else None


def losses(backups: Iterable[Mapping[str, Any]], holes: Sequence[Hole]) -> list[Loss]:
    """Between the ends of which backups moments are lost, for each hole, in the archive's order."""
    usable = _usable(backups)
    found = []
    for hole in holes:
        first, last = _position(hole.first), _position(hole.last)
        after = [_stop(backup) for backup in usable if "" < _wal(backup, "stop") < first]
        before = [_stop(backup) for backup in usable if _wal(backup, "start") > last]
        found.append(Loss(hole, max(after, default=None), min(before, default=None)))
    return found
