# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore points by name: kept with the newest backup, since a restore would take a database's own list back with
it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._server.lsn import parse_lsn

#: An annotation for each point; its value is the position, the timeline and the moment.
PREFIX = "relevo-point-"


@dataclass(frozen=True)
class Point:
    """``position`` as PostgreSQL writes it: the end of the point's own record. ``made`` is a time in UTC."""

    name: str
    position: str
    timeline: int
    made: str

    @property
    def lsn(self) -> int:
        return parse_lsn(self.position)

    def annotation(self) -> dict[str, str]:
        return {PREFIX + self.name: f"{self.position} {self.timeline} {self.made}"}


def points_of(backups: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The points of all backups, in the order of the WAL."""
    found = []
    for backup in backups:
        for key, value in (backup.get("annotation") or {}).items():
            parts = str(value).split()
            if key.startswith(PREFIX) and len(parts) == 3:
                found.append(Point(key.removeprefix(PREFIX), parts[0], int(parts[1]), parts[2]))
    return sorted(set(found), key=lambda point: (point.timeline, point.lsn))


def points_named(backups: Iterable[Mapping[str, Any]], name: str) -> list[Point]:
    return [point for point in points_of(backups) if point.name == name]
