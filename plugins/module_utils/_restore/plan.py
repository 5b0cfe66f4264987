# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore would do, or why it is not begun: the branch, the backup, the WAL, the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .._errors import RelevoError
from .._server.lsn import SEGMENT_SIZE, format_lsn, parse_lsn, segment_start
from .points import Point, points_named
from .reach import Branch, BrokenWayError, Gap, Repository, size_of, stop_of
from .target import Target, TargetType

#: What recovery writes beside the data: WAL that is being replayed and recycled.
WAL_ROOM = 512 * 2**20
#: How far a clock may be behind the one by which the target was chosen.
CLOCKS = timedelta(seconds=5)
#: The repository tells the times of its files in whole seconds, rounded down.
ROUNDED = timedelta(seconds=1)
LATEST = "-e target_type=latest goes there"


@dataclass(frozen=True)
class Request:
    """What is asked for; ``label`` empty and ``timeline`` 0 where that is left to us."""

    target: Target
    label: str = ""
    timeline: int = 0


@dataclass(frozen=True)
class Place:
    """Where it would be restored to. Bytes; ``reserve`` is what must stay free there.

    ``programs``: whether the server's programs of the backup's major version are there. ``database_version`` is that.
    """

    host: str
    path: str
    free: int
    reserve: int = 0
    programs: bool = True
    database_version: str = ""
    container: bool = False


@dataclass(frozen=True)
class RestorePlan:
    """``segments``: how many are replayed at most. ``expected_s`` None: nothing like it was measured yet.

    ``position``: of a restore point, where its record ends. ``at_least``: of the end of the archive, where its last
    segment begins: a recovery that does not go beyond could not read what is there.
    """

    type: TargetType
    value: str
    sentence: str
    label: str
    timeline: int
    why: str
    segments: int
    size: int
    needed: int
    free: int
    version: str
    expected_s: int | None = None
    notes: list[str] = field(default_factory=list)
    position: str = ""
    at_least: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> RestorePlan:
        return cls(**given)

    @property
    def target(self) -> Target:
        """What the recovery is told; of a time and a position no more than their text."""
        return Target(self.type, self.value)


def decide(request: Request, repository: Repository, place: Place, now: datetime) -> RestorePlan:
    """The plan; raises ``RelevoError`` with the sentence why there is none. Nothing has been touched then."""
    if not repository.usable:
        raise RelevoError("The repository holds no backup that can be recovered to a moment. Take one with backup.yml.")
    target = request.target
    chosen = _named_backup(request, repository) if request.label else None
    point = _point(target, repository) if target.type == "name" else None
    branch = _branch(request, repository, chosen, point, now)
    limit = target.lsn if target.lsn is not None else point.lsn if point else None
    if target.moment:
        _within_time(target, branch, repository)
    if target.lsn is not None:
        _within_wal(target.lsn, branch, repository)
    backup, why = _backup(target, limit, branch, repository, chosen)
    gaps = [gap for gap in repository.gaps(branch, backup) if _is_before(gap, target, limit)]
    if gaps and target.type != "immediate":
        raise BrokenWayError(_in_a_hole(gaps[0], branch, repository))
    _room(backup, place)
    return RestorePlan(
        target.type,
        target.value,
        target.sentence(now),
        str(backup["label"]),
        branch.timeline,
        why,
        _segments(backup, target, limit, branch, repository),
        size_of(backup),
        needed(backup),
        place.free,
        place.database_version,
        expected_seconds(backup, repository.usable),
        _notes(target, branch, repository),
        point.position if point else "",
        _last_segment(branch, repository) if target.type == "latest" else "",
    )


# --- the branch -------------------------------------------------------------------------------------------------


def _branch(
    request: Request, repository: Repository, chosen: Mapping[str, Any] | None, point: Point | None, now: datetime
) -> Branch:
    target = request.target
    if target.moment and target.moment > now + CLOCKS:
        raise RelevoError(
            f"{_first_up(target.sentence(now))} is in the future: it is {now:%Y-%m-%d %H:%M:%S} UTC now. For the end "
            f"of the archive, {LATEST}."
        )
    # Whatever timeline was in use then: its own backups may have expired long ago.
    oldest = min(repository.usable, key=stop_of)
    if target.moment and chosen is None and target.moment < stop_of(oldest):
        raise _too_early(target, oldest)
    if request.timeline:
        branch = repository.branch(request.timeline)
        if chosen and chosen not in repository.backups_of(branch):
            raise RelevoError(
                f"No way leads from the backup {chosen['label']} to timeline {branch.timeline}: that forked off "
                "before it. Leave out one of the two."
            )
        return branch
    if target.type == "immediate" and chosen:
        return repository.branch(int(chosen["archive"]["stop"][:8], 16))
    if target.moment:
        return repository.branch_at(target.moment)
    if point:
        # A timeline that was left at its end has its last WAL in its successor's first segment.
        return repository.branches_with(point.lsn).get(point.timeline) or repository.branch(point.timeline)
    if target.lsn is not None:
        return _branch_of_position(target.lsn, repository)
    return repository.newest


def _branch_of_position(lsn: int, repository: Repository) -> Branch:
    found = repository.branches_with(lsn)
    if len(found) > 1:
        owners = " and ".join(map(str, found))
        raise RelevoError(
            f"That position is on the timelines {owners}, each with another content. Name the one that is meant: "
            f"-e timeline={max(found)}."
        )
    return next(iter(found.values()), repository.newest)


# --- inside the window ------------------------------------------------------------------------------------------


def _within_time(target: Target, branch: Branch, repository: Repository) -> None:
    until = repository.until(branch)
    if target.moment and until and target.moment >= until + ROUNDED:
        raise RelevoError(
            f"{_first_up(target.sentence(until))} is later than the last WAL that was archived of timeline "
            f"{branch.timeline}, at {until:%Y-%m-%d %H:%M:%S} UTC. Wait until the next segment is archived "
            f"(restore_point.yml makes sure of that), or take the end of the archive: {LATEST}."
        )


def _within_wal(lsn: int, branch: Branch, repository: Repository) -> None:
    way = repository.way(branch)
    end = max((segment_start(name) for name in way), default=0) + SEGMENT_SIZE
    if lsn >= end:
        raise RelevoError(f"That position is after the end of the archive of timeline {branch.timeline}; {LATEST}.")


def _is_before(gap: Gap, target: Target, limit: int | None) -> bool:
    """Whether the way to the target leads through a hole."""
    if limit is not None:
        return segment_start(gap.hole.first) <= limit
    if target.moment:
        return gap.last_before is None or gap.last_before + ROUNDED <= target.moment
    return True


def _in_a_hole(gap: Gap, branch: Branch, repository: Repository) -> str:
    after = [
        stop_of(backup)
        for backup in repository.backups_of(branch)
        if segment_start(backup["archive"]["start"]) > segment_start(gap.hole.last)
    ]
    until = f"up to {gap.last_before:%Y-%m-%d %H:%M:%S} UTC" if gap.last_before else "no moment"
    again = f", and again from {min(after):%Y-%m-%d %H:%M:%S} UTC" if after else ""
    return (
        f"The archive has a hole on the way there: {gap.hole.count} segments from {gap.hole.first} to {gap.hole.last} "
        f"are missing. Before it, {until} can be reached{again}."
    )


# --- the backup -------------------------------------------------------------------------------------------------


def _named_backup(request: Request, repository: Repository) -> Mapping[str, Any]:
    found = [backup for backup in repository.usable if backup["label"] == request.label]
    if found:
        return found[0]
    if any(backup["label"] == request.label for backup in repository.backups):
        raise RelevoError(
            f"The backup {request.label} is of another cluster than the one whose WAL is archived now (another system "
            "identifier), or cannot be recovered. No WAL leads from it to a target. Choose one that catalog.yml "
            "shows as usable."
        )
    labels = ", ".join(str(backup["label"]) for backup in repository.usable)
    raise RelevoError(f"The repository has no backup {request.label}. It has {labels}.")


def _ends_before(backup: Mapping[str, Any], target: Target, limit: int | None) -> bool:
    """Whether a backup is consistent before the target is reached."""
    if limit is not None:
        return parse_lsn(backup["lsn"]["stop"]) <= limit
    # The end is known to the second, and rounded down.
    return target.moment is None or stop_of(backup) + timedelta(seconds=1) <= target.moment


def _backup(
    target: Target, limit: int | None, branch: Branch, repository: Repository, chosen: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], str]:
    """The backup to begin with, and why that one."""
    on_the_way = repository.backups_of(branch)
    if chosen is not None:
        if chosen not in on_the_way:
            raise RelevoError(
                f"No way leads from the backup {chosen['label']} to the target, which is on timeline "
                f"{branch.timeline}. These lead there: {_labels(on_the_way)}."
            )
        if not _ends_before(chosen, target, limit):
            raise RelevoError(
                f"{_first_up(target.sentence())} is before the first consistent point of the backup {chosen['label']}, "
                f"{stop_of(chosen):%Y-%m-%d %H:%M:%S} UTC ({chosen['lsn']['stop']}). Choose an older one, or name none."
            )
        return chosen, "it was named"
    if not on_the_way:
        raise RelevoError(
            f"No backup leads to timeline {branch.timeline}: all were taken on another branch, or after it had forked "
            "off, so it cannot be restored. catalog.yml shows what can."
        )
    early = [backup for backup in on_the_way if _ends_before(backup, target, limit)]
    if not early:
        raise _too_early(target, on_the_way[0], f" on timeline {branch.timeline}")
    if target.type == "xid":
        # Nothing says when that was; the oldest from which no hole is in the way is sure to be before it.
        whole = [backup for backup in early if not repository.gaps(branch, backup)]
        return (whole or early)[
            0
        ], "the oldest, since an id says nothing of when it was; -e backup=LABEL may be quicker"
    if target.type == "immediate":
        return early[-1], "the newest, since none was named"
    return early[-1], "the newest that ends before the target"


def _too_early(target: Target, first: Mapping[str, Any], where: str = "") -> RelevoError:
    return RelevoError(
        f"{_first_up(target.sentence())} is before the first consistent point that can be restored{where}: "
        f"{stop_of(first):%Y-%m-%d %H:%M:%S} UTC ({first['lsn']['stop']}), the end of the backup {first['label']}."
    )


def _labels(backups: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(backup["label"]) for backup in backups) or "none"


def _point(target: Target, repository: Repository) -> Point:
    found = points_named(repository.backups, target.value)
    if not found:
        raise RelevoError(
            f"No backup knows a restore point {target.value}. Names are noted with the newest backup by "
            "restore_point.yml; one that was made otherwise can be reached by its position (-e target_type=lsn)."
        )
    if len(found) > 1:
        places = " and ".join(f"{one.position} on timeline {one.timeline} ({one.made})" for one in found)
        raise RelevoError(
            f"There are {len(found)} restore points {target.value}: {places}. Name the position that is meant: "
            "-e target_type=lsn -e target=..."
        )
    return found[0]


# --- space and time ---------------------------------------------------------------------------------------------


def needed(backup: Mapping[str, Any]) -> int:
    return size_of(backup) + size_of(backup) // 10 + WAL_ROOM


def _room(backup: Mapping[str, Any], place: Place) -> None:
    if not place.programs:
        how = (
            "Its container was made before its image had them, or for another postgresql_version: site.yml "
            "-e docker_nodes_recreate=true makes it anew, and the repository stays"
            if place.container
            else "site.yml installs those of the host's postgresql_version"
        )
        raise RelevoError(f"{place.host} has no programs of PostgreSQL {place.database_version}. {how}.")
    want = needed(backup)
    if place.free - place.reserve < want:
        raise RelevoError(
            f"{place.host} has {place.free // 2**20} MiB free below {place.path}, of which {place.reserve // 2**20} "
            f"MiB stay free for the repository, and this needs {want // 2**20} MiB. Make room there, remove a scratch "
            "instance (restore.yml -e remove=NAME), or name another directory (restore_directory)."
        )


def expected_seconds(backup: Mapping[str, Any], backups: Sequence[Mapping[str, Any]]) -> int | None:
    """What the last drill took, by the size of what it restored; None before the first one."""
    measured = [one for one in backups if (one.get("annotation") or {}).get("relevo-drill-rto")]
    if not measured:
        return None
    last = max(measured, key=lambda one: str(one["annotation"].get("relevo-drill-at", "")))
    seconds = float(last["annotation"]["relevo-drill-rto"])
    return round(seconds * size_of(backup) / max(size_of(last), 1))


def _segments(
    backup: Mapping[str, Any], target: Target, limit: int | None, branch: Branch, repository: Repository
) -> int:
    """How many segments of WAL are between the backup's start and the target."""
    start = segment_start(backup["archive"]["start"])
    numbers = {segment_start(name): repository.segments[name] for name in repository.way(branch)}
    ahead = [position for position in numbers if position >= start]
    if limit is not None:
        return sum(position <= limit for position in ahead)
    if target.type == "immediate":
        return sum(position <= parse_lsn(backup["lsn"]["stop"]) for position in ahead)
    if target.moment is not None:
        # The first one that was archived after it has what ends the recovery.
        moment = target.moment.timestamp()
        return min(len(ahead), sum(numbers[position] < moment for position in ahead) + 1)
    return len(ahead)


def _last_segment(branch: Branch, repository: Repository) -> str:
    return format_lsn(max((segment_start(name) for name in repository.way(branch)), default=0))


def _notes(target: Target, branch: Branch, repository: Repository) -> list[str]:
    others = [one for one in repository.branches if one > branch.timeline]
    notes = []
    if target.type == "xid" and len(repository.branches) > 1:
        notes.append(
            f"Ids are given out again on every timeline. It is looked for on the way to timeline {branch.timeline}; "
            "-e timeline=N looks on another."
        )
    elif others and target.type in ("time", "lsn") and repository.newest is not branch:
        notes.append(
            f"The servers were on timeline {branch.timeline} then; the way to the newest, {max(others)}, does not "
            f"pass there."
        )
    return notes


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
