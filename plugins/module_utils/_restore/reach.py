# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository can be restored to: its branches, which backup is on which, and up to where each one leads.

The moment at which WAL ended or a timeline began is that of its file in the repository: the commits in a segment are
not later than the time at which the segment was archived. A repository that was away gets its files later than they
were made, so when a timeline began is the earliest of all that is known of it; and the last segment of one that was
left may be archived long after that, with no commit in it that is later than its successor's beginning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from typing import Any

from .._errors import RelevoError
from .._recovery_window import Hole, is_recoverable, of_newest_system
from .._repository.archive import holes
from .._server.lsn import SEGMENT_SIZE, Fork, history_name, parse_history, parse_lsn, segment_name, segment_start


class BrokenWayError(RelevoError):
    """What the archive lacks, and not what was asked for, is why a target cannot be reached."""


@dataclass(frozen=True)
class Gap:
    """A hole in the archive of a branch: what came after ``last_before`` cannot be reached from a backup before it."""

    hole: Hole
    last_before: datetime | None


@dataclass(frozen=True)
class Stretch:
    """Every moment from ``since``, the end of the backup ``oldest``, to ``until`` can be reached."""

    since: datetime
    until: datetime
    oldest: str


@dataclass(frozen=True)
class Branch:
    """A timeline as a way through the WAL: its ancestors up to where each was left, then itself.

    ``began`` is when it was promoted, at the latest, None of the first; ``known`` is False where its history is missing
    in the archive.
    """

    timeline: int
    forks: tuple[Fork, ...] = ()
    began: datetime | None = None
    known: bool = True

    @property
    def parent(self) -> Fork | None:
        return self.forks[-1] if self.forks else None

    def end_of(self, timeline: int) -> int | None:
        """Where it left an ancestor, in bytes; None of itself. Raises KeyError of a timeline that is not on its way."""
        if timeline == self.timeline:
            return None
        return {fork.timeline: fork.end for fork in self.forks}[timeline]

    def owner_of(self, lsn: int) -> int:
        """The timeline that a position belongs to on its way."""
        return next((fork.timeline for fork in self.forks if lsn <= fork.end), self.timeline)

    def passes(self, timeline: int, lsn: int) -> bool:
        """Whether a position of a timeline is on its way."""
        try:
            end = self.end_of(timeline)
        except KeyError:
            return False
        return end is None or lsn <= end

    def covers(self, segment: str) -> bool:
        """Whether a segment is read on its way: not of an ancestor after its end."""
        return self.passes(int(segment[:8], 16), segment_start(segment))


@dataclass(frozen=True)
class Repository:
    """What a stanza holds. ``segments`` and ``histories`` of its newest database: by name the second of the
    archiving."""

    backups: Sequence[Mapping[str, Any]]
    databases: Sequence[Mapping[str, Any]]
    segments: Mapping[str, float]
    histories: Mapping[int, tuple[str, float]] = field(default_factory=dict)

    @cached_property
    def usable(self) -> list[Mapping[str, Any]]:
        """The backups of the newest system that can be recovered to a moment, oldest first."""
        return [backup for backup in of_newest_system(self.backups, self.databases) if is_recoverable(backup)]

    @cached_property
    def branches(self) -> dict[int, Branch]:
        """By timeline, ascending."""
        found = {int(name[:8], 16) for name in self.segments} | set(self.histories) | {1}
        found |= {int(backup["archive"]["stop"][:8], 16) for backup in self.usable}
        return {timeline: self._branch(timeline) for timeline in sorted(found)}

    def _branch(self, timeline: int) -> Branch:
        if timeline not in self.histories:
            return Branch(timeline, known=timeline == 1)
        text, _archived = self.histories[timeline]
        return Branch(timeline, tuple(parse_history(text)), datetime.fromtimestamp(self._began(timeline), UTC))

    @cached_property
    def _seen(self) -> dict[int, float]:
        """The first time at which there was something of a timeline: its history, its WAL, a backup of it."""
        seen = {timeline: archived for timeline, (_text, archived) in self.histories.items()}
        times = list(self.segments.items())
        times += [(str(one["archive"]["start"]), float(one["timestamp"]["start"])) for one in self.usable]
        for name, moment in times:
            timeline = int(name[:8], 16)
            seen[timeline] = min(moment, seen.get(timeline, moment))
        return seen

    def _began(self, timeline: int) -> float:
        """Not later than there was something of it, or of one that came from it: all of its own may have expired."""
        came = {
            other
            for other, (text, _archived) in self.histories.items()
            if any(fork.timeline == timeline for fork in parse_history(text))
        }
        return min(self._seen[one] for one in {timeline} | came if one in self._seen)

    def with_times(self, other: Mapping[str, float]) -> Repository:
        """The same with the earlier of two times of each file: of a repository that was away, they are those of the
        copying.

        ``other``: what another repository of the same archive has, by name.
        """
        histories = {
            timeline: (text, min(archived, other.get(history_name(timeline), archived)))
            for timeline, (text, archived) in self.histories.items()
        }
        segments = {name: min(archived, other.get(name, archived)) for name, archived in self.segments.items()}
        return replace(self, segments=segments, histories=histories)

    def branch(self, timeline: int) -> Branch:
        """A branch by its number; ``RelevoError`` where no server ever was on it, or its way is not known."""
        found = self.branches.get(timeline)
        if found is None:
            have = ", ".join(map(str, self.branches))
            raise RelevoError(f"The archive knows no timeline {timeline}. It has {have}.")
        if not found.known:
            raise BrokenWayError(
                f"{history_name(timeline)} is missing in the archive, so nobody knows from where timeline {timeline} "
                "came. If it is the primary's, site.yml archives it; otherwise archive it (archive-push) from the "
                "pg_wal of a server that has it."
            )
        return found

    @property
    def newest(self) -> Branch:
        return self.branch(max(self.branches))

    # --- one branch ----------------------------------------------------------------------------------------------

    def own_segments(self, timeline: int) -> list[str]:
        return sorted(name for name in self.segments if int(name[:8], 16) == timeline)

    def way(self, branch: Branch) -> list[str]:
        """The segments of a branch and its ancestors, in the order of their names."""
        return sorted(name for name in self.segments if branch.covers(name))

    def backups_of(self, branch: Branch) -> list[Mapping[str, Any]]:
        """The backups from which its way can be gone, oldest first."""
        return [backup for backup in self.usable if leads_to(branch, backup)]

    def until(self, branch: Branch) -> datetime | None:
        """When the last of its WAL was archived, at the latest when it was left."""
        way = self.way(branch)
        return datetime.fromtimestamp(max(self._moments(branch, way)), UTC) if way else None

    def _moments(self, branch: Branch, names: Sequence[str]) -> list[float]:
        """No commit in these segments of its way is later."""
        way = [*(fork.timeline for fork in branch.forks), branch.timeline]
        left = {timeline: self._began(after) for timeline, after in pairwise(way)}
        own = [
            self._began(one.timeline)
            for one in self.branches.values()
            if one.parent and one.parent.timeline == branch.timeline and not self.goes_on_after(one.parent)
        ]
        left |= {branch.timeline: min(own)} if own else {}
        return [min(self.segments[name], left.get(int(name[:8], 16), math.inf)) for name in names]

    def gaps(self, branch: Branch, backup: Mapping[str, Any]) -> list[Gap]:
        """What is missing on the way from a backup to the end of a branch."""
        way = self.way(branch)
        missing = holes(set(way), list(branch.forks), [str(backup["archive"]["start"])])
        return [Gap(hole, self._last_before(branch, way, hole)) for hole in missing]

    def _last_before(self, branch: Branch, way: Sequence[str], hole: Hole) -> datetime | None:
        names = [name for name in way if segment_start(name) < segment_start(hole.first)]
        before = self._moments(branch, names)
        return datetime.fromtimestamp(max(before), UTC) if before else None

    def stretches(self, branch: Branch) -> list[Stretch]:
        """What can be reached on a branch, oldest first; between two of them is a hole."""
        found: list[Stretch] = []
        end = self.until(branch)
        for backup in self.backups_of(branch):
            gaps = self.gaps(branch, backup)
            until = (gaps[0].last_before if gaps else end) or stop_of(backup)
            if not found or found[-1].until < until:
                found.append(Stretch(stop_of(backup), max(until, stop_of(backup)), str(backup["label"])))
        return found

    def goes_on_after(self, fork: Fork) -> bool:
        """Whether a timeline has WAL after a fork: it was not left at its end there.

        It has a later segment, or another branch leaves it later. Or it may have gone on in that very segment, which it
        has archived, since the recovery that made the fork stopped at a target.
        """
        last = segment_name(fork.timeline, fork.end)
        forks = {one for branch in self.branches.values() for one in branch.forks if one.timeline == fork.timeline}
        return (
            any(name > last for name in self.own_segments(fork.timeline))
            or any(one.end > fork.end for one in forks)
            or (fork.at_target and last in self.segments)
        )

    # --- which branch is meant -----------------------------------------------------------------------------------

    def branch_at(self, moment: datetime) -> Branch:
        """The branch on which the servers were at a moment, and that goes on after it.

        A cluster that was taken back to its past has two pasts: before that restore the older timeline is the true one,
        to which the newest does not lead.
        """
        begun = [one for one in self.branches.values() if one.began is None or one.began <= moment]
        branch = self.branch(max(begun, key=lambda one: one.timeline).timeline if begun else min(self.branches))
        return self._followed(branch)

    def _followed(self, branch: Branch) -> Branch:
        """The newest branch that began where this one ended; its first segment has the bytes of this one's last."""
        for other in sorted(self.branches.values(), key=lambda one: -one.timeline):
            parent = other.parent
            if parent and parent.timeline == branch.timeline and not self.goes_on_after(parent):
                return self._followed(other)
        return branch

    def branches_with(self, lsn: int) -> dict[int, Branch]:
        """By the timeline to which a position belongs, the newest branch that leads there.

        More than one where a timeline went on after another had been forked off before that position.
        """
        found: dict[int, Branch] = {}
        for branch in self.branches.values():
            owner = branch.owner_of(lsn)
            if branch.known and not self._left_before(owner, lsn) and self._has(branch, lsn):
                found[owner] = branch
        return found

    def _has(self, branch: Branch, lsn: int) -> bool:
        return any(segment_start(name) <= lsn < segment_start(name) + SEGMENT_SIZE for name in self.way(branch))

    def _left_before(self, timeline: int, lsn: int) -> bool:
        """Whether a timeline was left for another one before a position; the rest of its last segment is empty."""
        forks = [one.parent for one in self.branches.values() if one.parent and one.parent.timeline == timeline]
        return any(fork.end < lsn and not self.goes_on_after(fork) for fork in forks)


def leads_to(branch: Branch, backup: Mapping[str, Any]) -> bool:
    """Whether a branch can be followed from a backup."""
    return branch.passes(int(backup["archive"]["stop"][:8], 16), parse_lsn(backup["lsn"]["stop"]))


def stop_of(backup: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(backup["timestamp"]["stop"]), UTC)


def size_of(backup: Mapping[str, Any]) -> int:
    """Bytes of the database when it was backed up."""
    return int((backup.get("info") or {}).get("size") or 0)


def all_stretches(repository: Repository) -> list[dict[str, Any]]:
    """From when to when each timeline can be restored, as plain values; moments are seconds since 1970."""
    return [
        {
            "timeline": branch.timeline,
            "since": stretch.since.timestamp(),
            "until": stretch.until.timestamp(),
            "oldest": stretch.oldest,
        }
        for branch in repository.branches.values()
        if branch.known
        for stretch in repository.stretches(branch)
    ]


def all_gaps(repository: Repository) -> list[dict[str, Any]]:
    """The holes on the way of the newest timeline since the oldest backup, as plain values."""
    newest = max(repository.branches.values(), key=lambda branch: branch.timeline)
    backups = repository.backups_of(newest)
    return [asdict(gap.hole) for gap in repository.gaps(newest, backups[0])] if backups else []


def leading_to_now(repository: Repository) -> tuple[list[Mapping[str, Any]], str]:
    """The backups from which the end of the newest timeline can be reached, oldest first, and why there is none.

    A hole after a backup is no reason: it is reached up to there (``all_gaps``).
    """
    try:
        newest = repository.newest
    except BrokenWayError as error:
        return [], error.message
    found = [backup for backup in repository.backups_of(newest) if _is_consistent(repository, newest, backup)]
    if found:
        return found, ""
    return [], (
        f"No backup leads to timeline {newest.timeline}, on which the servers are: nothing can be restored to a moment "
        "of it. Run backup.yml -e day=1."
    )


def _is_consistent(repository: Repository, branch: Branch, backup: Mapping[str, Any]) -> bool:
    """Whether the archive has the WAL between a backup's beginning and its end, without which it is worth nothing."""
    last = str(backup["archive"]["stop"])
    gaps = repository.gaps(branch, backup)
    return last in repository.segments and all(segment_start(gap.hole.first) > segment_start(last) for gap in gaps)
