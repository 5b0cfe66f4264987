# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore points by name: kept with the newest backup, since a restore would take a database's own list back with
it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._operation_plan import Effect, OperationPlan
from .._repository.archive import in_repository
from .._repository.command import FIRST
from .._server.lsn import CURRENT_TIMELINE, parse_lsn
from .._wait import wait_until
from .target import POINT_NAME

if TYPE_CHECKING:
    # Of the points nobody needs a session but who makes one.
    from .._server.session import Session

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


def refusals(name: str, backups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why a restore point of that name cannot be made, in sentences."""
    found = []
    if not POINT_NAME.fullmatch(name):
        found.append(
            f'"{name}" cannot be the name of a restore point: letters, digits, _, . and -, at most 63, not one of '
            "the last three first. Give one with -e point=NAME."
        )
    if not backups:
        found.append("There is no backup yet from which a restore point could be reached. Take one with backup.yml.")
    found += [
        f"There is a restore point {name} already, of {one.made} at {one.position}. Choose another name."
        for one in points_named(backups, name)
    ]
    return found


def describe_point(
    name: str, cluster: str, primary: str, host: str, backups: Sequence[Mapping[str, Any]]
) -> OperationPlan:
    """What ``restore_point.yml`` is about to do."""
    why = refusals(name, backups)
    if why:
        return OperationPlan("restore_point", cluster, "none", "It would not be begun.", refusals=why)
    return OperationPlan(
        "restore_point",
        cluster,
        "restore-point",
        f"a restore point {name} now.",
        affects=[
            Effect(primary, "writes it into its WAL, and begins a new segment"),
            Effect(host, f"notes it with the backup {backups[-1]['label']}"),
        ],
        expected=[
            "It can be restored to as soon as this ends: restore.yml -e target_type=name -e target=" + name + ".",
            "Changes whose commit comes later are not in it, also those of a transaction that made it itself.",
        ],
    )


def unnoted(name: str, position: str, noted: Iterable[Mapping[str, Any]], away: Iterable[Mapping[str, Any]]) -> str:
    """Why a point that was made is not found by its name, and how it is reached; empty where it is found.

    ``noted``: the repositories whose newest backup knows it; ``away``: those that could not be told, and why.
    """
    where = [int(one["repository"]) for one in noted]
    if FIRST in where:
        return ""
    # It is archived there, which is waited for before it is noted.
    reasons = [str(one["reason"]).strip().rstrip(".") for one in away if int(one["repository"]) == FIRST]
    why = reasons[0] if reasons else "it has no backup yet"
    others = "".join(
        f" By its name it is found in repository {number}: restore.yml -e repository_number={number} "
        f"-e target_type=name -e target={name}."
        for number in where
    )
    return (
        f"The restore point {name} was made at {position} and is archived, but repository {FIRST}, which restore.yml "
        f"reads unless it is told otherwise, does not know its name: {why}. Restore to it out of there by its "
        f"position: restore.yml -e target_type=lsn -e target={position}.{others} For a point that is found by its name "
        "in each, fix that and run this again with another name."
    )


def make_point(session: Session, name: str, timeout: float) -> tuple[Point, str]:
    """Make it on the primary that ``session`` is at, and wait until its segment, which is returned, is archived.

    In the first repository, where there are two: its backups know the point, and it is restored in place from.
    """
    row = session.query(
        f"SELECT lsn, pg_walfile_name(lsn) AS segment, {CURRENT_TIMELINE} AS timeline, "
        "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS made "
        "FROM pg_create_restore_point($1) AS lsn",
        (name,),
    )[0]
    segment = str(row["segment"])
    session.query("SELECT pg_switch_wal()")

    def archived() -> bool:
        said = "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver"
        return session.flag(said, (segment,)) or in_repository(segment)

    what = f"the segment {segment} of the restore point {name} to be archived (status.yml says what keeps it back)"
    wait_until(archived, what, timeout, interval=0.1)
    return Point(name, str(row["lsn"]), int(row["timeline"]), str(row["made"])), segment
