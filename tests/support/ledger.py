"""What a cluster was made to write, and so which rows each of its pasts has: computed from nothing else.

An era is the time between two promotions. One that a failover began has all of the era before it; one that a restore
in place began has of an older one what came before the target, and nothing of those between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

Kind = Literal["time", "lsn", "xid", "name", "immediate", "latest"]


@dataclass(frozen=True)
class Commit:
    """One transaction. ``position`` and ``moment`` (UTC) are after its commit and before the next one, whichever that
    is; the record that begins at the position is no commit."""

    adds: frozenset[int]
    removes: frozenset[int]
    xid: int
    position: str
    moment: datetime


@dataclass
class Era:
    """``commits`` in the order of their commits; ``kept``: how many of those of the era ``parent`` it began with."""

    timeline: int
    parent: int = 0
    kept: int = 0
    commits: list[Commit] = field(default_factory=list)


@dataclass
class Ledger:
    """The eras by number, from 1. ``backups`` by number: their labels; ``points``: the names of restore points, by era
    and how many commits of it come before."""

    eras: dict[int, Era] = field(default_factory=dict)
    backups: dict[int, str] = field(default_factory=dict)
    points: dict[tuple[int, int], str] = field(default_factory=dict)

    def rows(self, era: int, after: int) -> set[int]:
        """What there was after so many commits of an era."""
        if not era:
            return set()
        found = self.rows(self.eras[era].parent, self.eras[era].kept)
        for commit in self.eras[era].commits[:after]:
            found = (found - commit.removes) | commit.adds
        return found


@dataclass(frozen=True)
class Goal:
    """A target: the state after so many commits of an era, and how it is asked for.

    ``along``: the era whose timeline is named; ``backup``: the number of the one that is named; 0: neither is.
    ``zone``: in which a time is typed.
    """

    kind: Kind
    era: int
    after: int
    along: int = 0
    backup: int = 0
    zone: str = ""

    def __str__(self) -> str:
        how = [f"along_{self.along}" * bool(self.along), f"backup_{self.backup}" * bool(self.backup), self.zone]
        return "-".join([self.kind, f"era_{self.era}", f"after_{self.after}", *filter(None, how)])

    def arguments(self, ledger: Ledger) -> dict[str, str]:
        """What somebody would give to restore.yml."""
        given = {"target": self._target(ledger)} if self._target(ledger) else {}
        # That of a time is the default.
        given |= {"target_type": self.kind} if self.kind != "time" else {}
        given |= {"timeline": str(ledger.eras[self.along].timeline)} if self.along else {}
        return given | ({"backup": ledger.backups[self.backup]} if self.backup else {})

    def _target(self, ledger: Ledger) -> str:
        if self.kind in ("immediate", "latest"):
            return ""
        if self.kind == "name":
            return ledger.points[self.era, self.after]
        commit = ledger.eras[self.era].commits[self.after - 1]
        if self.kind == "time":
            return typed(commit.moment, self.zone)
        return commit.position if self.kind == "lsn" else str(commit.xid % 2**32)


def typed(moment: datetime, zone: str) -> str:
    """A moment as it is typed: in UTC, at a distance from it (+01:00), or with the name of a zone."""
    if not zone:
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    if zone[0] in "+-":
        return moment.astimezone(datetime.strptime(zone, "%z").tzinfo).isoformat(timespec="microseconds")
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S.%f}{zone}"


#: Commits of each era, and after how many of era 2 the restore in place went back.
COMMITS, KEPT = 6, 3
#: After which commits there is a restore point, and which backup; the restores make those of (3, 6) and (4, 0).
POINTS = ((1, 2), (2, 1), (2, 2), (3, 2), (4, 2))
BACKUPS = {(1, 0): 1, (3, 3): 2, (4, 3): 4}


@dataclass(frozen=True)
class Course:
    """What is done beside the commits. ``inside``: after which commits the transaction of the next one makes a restore
    point between its insert and its commit."""

    name: str
    points: Collection[tuple[int, int]] = ()
    backups: Mapping[tuple[int, int], int] = field(default_factory=dict)
    inside: tuple[int, int] = (0, 0)


LONG = Course("long", POINTS, BACKUPS)
#: No play for any of it: the backup is the one that is there, and the next one that of the restore in place.
SHORT = Course("short", inside=(4, 2))

#: A tenth, one of each kind.
SHORT_GOALS = [
    Goal("time", 2, 2, zone="Europe/Madrid"),
    Goal("lsn", 3, 5, along=3),
    Goal("xid", 1, 3),
    # The row of the transaction that made the point is not there: its commit comes later.
    Goal("name", 4, 2),
    Goal("immediate", 4, 0, backup=3),
    Goal("latest", 4, 6),
]

#: Sixty. From commit 4 on, era 2 and era 3 are what the restore in place has left behind: era 4 goes on from commit 3
#: of era 2, and has the same positions and transaction ids again.
GOALS = [
    Goal("time", 1, 1, zone="+01:00"),
    Goal("time", 1, 2, zone="Europe/Madrid"),
    Goal("time", 1, 3),
    Goal("time", 1, 4, along=4),
    Goal("time", 1, 5, along=3),
    Goal("time", 1, 6),
    Goal("time", 2, 1),
    Goal("time", 2, 2, along=4),
    Goal("time", 2, 3),
    Goal("time", 2, 4),
    Goal("time", 2, 5, along=3),
    Goal("time", 2, 6),
    Goal("time", 3, 1, zone="-05:30"),
    Goal("time", 3, 3, backup=1),
    Goal("time", 3, 5),
    Goal("time", 4, 1),
    Goal("time", 4, 4, backup=1),
    Goal("lsn", 1, 1),
    Goal("lsn", 1, 3),
    Goal("lsn", 1, 4, along=4),
    Goal("lsn", 1, 5, along=2),
    Goal("lsn", 1, 6),
    Goal("lsn", 2, 1),
    Goal("lsn", 2, 2, along=4),
    Goal("lsn", 2, 3),
    Goal("lsn", 2, 4, along=2),
    Goal("lsn", 2, 5, along=3),
    Goal("lsn", 2, 6, along=3),
    Goal("lsn", 3, 2, along=3),
    Goal("lsn", 3, 5, along=3, backup=2),
    Goal("lsn", 4, 1, along=4),
    Goal("lsn", 4, 5, along=4),
    Goal("xid", 1, 1),
    Goal("xid", 1, 3),
    Goal("xid", 1, 4),
    Goal("xid", 1, 6, along=3),
    Goal("xid", 2, 1),
    Goal("xid", 2, 2, backup=1),
    Goal("xid", 2, 3),
    Goal("xid", 2, 4, along=3),
    Goal("xid", 2, 6, along=2),
    Goal("xid", 3, 1, along=3),
    Goal("xid", 3, 4, along=3),
    Goal("xid", 3, 6, along=3, backup=2),
    Goal("xid", 4, 2),
    Goal("xid", 4, 6),
    Goal("name", 1, 2),
    Goal("name", 2, 1),
    Goal("name", 2, 2),
    Goal("name", 3, 2),
    Goal("name", 3, 6),
    Goal("name", 4, 2),
    Goal("immediate", 1, 0, backup=1),
    Goal("immediate", 3, 3, backup=2),
    Goal("immediate", 4, 0, backup=3),
    Goal("immediate", 4, 3),
    Goal("latest", 1, 6, along=1),
    Goal("latest", 2, 6, along=2),
    Goal("latest", 3, 6, along=3),
    Goal("latest", 4, 6),
]
