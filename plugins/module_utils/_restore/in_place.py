# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore in place: who gets the data, what is refused, what it costs, and how it is undone. Nothing is touched."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from .._errors import RelevoError
from .._operation_plan import Effect, OperationPlan
from .._repository.command import SECOND
from .._repository.restore_record import Unfinished
from .._server.lsn import SEGMENT_SIZE, parse_lsn, segment_start
from .._tables import format_bytes, format_duration
from .describe import windows
from .plan import Place, Request, RestorePlan, decide, needed
from .reach import Repository
from .target import Target

#: ``begin``: nothing has been touched yet. ``finish``: what an earlier run began. ``replace``: the same with another
#: target, since that of the earlier run was not reached.
Step = Literal["begin", "finish", "replace"]


@dataclass(frozen=True)
class Cluster:
    """The cluster as it is. ``nodes``: all of the inventory; ``down``: why a node does not answer, by name.

    ``primaries``: who takes writes; ``timelines``: of each node that holds data, whether or not its server runs;
    ``timeline``: the primary's, 0 where there is none.
    """

    name: str
    preferred: str
    nodes: Sequence[str]
    repository: str
    primaries: Sequence[str] = ()
    timeline: int = 0
    down: Mapping[str, str] = field(default_factory=dict)
    timelines: Mapping[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether no node holds any data: all that is left is the repository."""
        return not self.timelines

    @property
    def newest_timeline(self) -> int:
        return max([self.timeline, *self.timelines.values()])


@dataclass(frozen=True)
class Undo:
    """The way back: the end of ``timeline``, from the backup ``label``, which is kept until ``until`` (UTC)."""

    timeline: int
    label: str
    until: str
    point: str = ""

    def command(self, cluster: str) -> str:
        return command(cluster, Target("latest"), timeline=self.timeline)


def restored_node(primaries: Sequence[str], preferred: str, unfinished: Mapping[str, Any] | None) -> str:
    """Who gets the data first: whoever it was begun with, otherwise the primary, otherwise the preferred one."""
    if unfinished:
        return str(unfinished["node"])
    return primaries[0] if len(primaries) == 1 else preferred


def command(cluster: str, target: Target, label: str = "", timeline: int = 0) -> str:
    """The command line of a restore in place, as somebody would type it."""
    given = {"cluster": cluster, "to": "cluster", "target_type": target.type, "target": typed(target)}
    given |= {"backup": label, "timeline": str(timeline) if timeline else "", "confirm": cluster}
    words = [f"-e {shlex.quote(f'{name}={value}')}" for name, value in given.items() if value]
    return " ".join(["ansible-playbook playbooks/restore.yml", *words])


def typed(target: Target) -> str:
    """The target as it is typed: a time with a T and without a space."""
    if target.moment is None:
        return target.value
    return f"{target.moment:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"


def asked_of(request: Request) -> dict[str, Any]:
    """What was asked for, as it was understood: the same however it was typed."""
    target = request.target
    return {"type": target.type, "value": target.value, "label": request.label, "timeline": request.timeline}


def step_of(request: Request, unfinished: Unfinished | None, reached: bool) -> Step:
    """How this run goes on; raises where another restore has to be finished first."""
    if unfinished is None:
        return "begin"
    if dict(unfinished.asked) == asked_of(request):
        return "finish"
    if reached:
        raise RelevoError(f"{unfinished.sentence}. Its target has been reached; another one can be gone to afterwards.")
    return "replace"


# --- what is refused --------------------------------------------------------------------------------------------


def consents(confirm: str, cluster: Cluster) -> bool:
    return confirm in (cluster.name, f"{cluster.name}@{cluster.preferred}")


def refusals(cluster: Cluster, confirm: str, place: Place, plan: RestorePlan | None, size: int) -> list[str]:
    """Why it would not be begun, in sentences. ``confirm`` empty: nobody was asked yet. ``size``: bytes of ``plan``."""
    found = []
    if confirm and not consents(confirm, cluster):
        found.append(
            f"confirm={confirm} is not the cluster's name, {cluster.name} (or {cluster.name}@{cluster.preferred}). "
            "A restore in place replaces all of its data."
        )
    if len(cluster.primaries) > 1:
        found.append(
            f"{' and '.join(cluster.primaries)} both take writes. Stop the one whose writes you can lose, then run "
            "this again."
        )
    unreachable = {name: why for name, why in cluster.down.items() if name in (*cluster.nodes, cluster.repository)}
    for name, why in unreachable.items():
        found.append(
            f"{name} does not answer ({why}). It could come back with the data as they were, so it has to be stopped "
            "and marked like the others. Start it, or take it out of the inventory."
        )
    if plan is not None and place.free - place.reserve < size:
        found.append(
            f"{place.host} has room for {(place.free - place.reserve) // 2**20} MiB below {place.path}, its present "
            f"data counted, and this needs {size // 2**20} MiB. Make room there."
        )
    return found


# --- what it costs, and the way back -----------------------------------------------------------------------------


def lost_wal(plan: RestorePlan, target: Target, repository: Repository, timeline: int) -> int:
    """Bytes of the archived WAL of the present ``timeline`` that come after the target, at most; 0: not known."""
    branch = repository.branches.get(timeline)
    if branch is None or not branch.known:
        return 0
    way = repository.way(branch)
    limit = parse_lsn(plan.position) if plan.position else target.lsn
    if target.moment is not None:
        moment = target.moment.timestamp()
        behind = [name for name in way if repository.segments[name] > moment]
    elif limit is not None and branch.passes(plan.timeline, limit):
        behind = [name for name in way if segment_start(name) + SEGMENT_SIZE > limit]
    elif plan.timeline == timeline or plan.type == "xid":
        behind = []
    else:
        behind = repository.own_segments(timeline)
    return len(behind) * SEGMENT_SIZE


def undo_of(cluster: Cluster, repository: Repository, now: datetime, days: float) -> Undo | str:
    """The way back to the present, or why there is none."""
    if cluster.lost:
        return "no node holds data, so there is nothing to go back to"
    timeline = cluster.timeline or cluster.newest_timeline
    try:
        # Where it is restored from there, the space has been looked at.
        back = decide(Request(Target("latest"), timeline=timeline), repository, Place("", "", 1 << 62), now)
    except RelevoError as error:
        return f"the present state could not be restored: {error.message}"
    until = now + timedelta(days=days)
    return Undo(timeline, back.label, f"{until:%Y-%m-%dT%H:%M:%SZ}")


def with_point(undo: Undo | str, moment: datetime) -> Undo | str:
    """Name the restore point that is made before."""
    if isinstance(undo, str):
        return undo
    return replace(undo, point=f"before_restore_{moment:%Y%m%d_%H%M%S}")


# --- in words ----------------------------------------------------------------------------------------------------


def describe_in_place(
    plan: RestorePlan | None,
    repository: Repository | None,
    cluster: Cluster,
    node: str,
    undo: Undo | str,
    found: list[str],
    *,
    step: Step = "begin",
    lost: str = "",
    confirmed: bool = False,
    repositories: int = 1,
    second: Undo | str | None = None,
) -> OperationPlan:
    """The plan as every operation shows its own. ``found``: the refusals; ``lost``: what goes, in words.

    ``repositories``: how many there are, each of which gets a backup; ``second``: the way to the present out of the
    second one, or why there is none.
    """
    seen = [f"Window: {line}" for line in windows(repository)] if repository else []
    if plan is None:
        message = "It would not be begun. Nothing was touched."
        return OperationPlan("restore", cluster.name, "none", message, expected=seen, refusals=found)
    took = "not known before the first drill" if plan.expected_s is None else format_duration(plan.expected_s)
    others = [name for name in cluster.nodes if name != node]
    again = {"begin": "", "finish": " An earlier run began it; this one finishes it.", "replace": _REPLACES}[step]
    stopped = "gets" if cluster.lost else "is stopped, gets"
    affects = [Effect(node, f"{stopped} these data ({format_bytes(plan.size)}), and is primary on a new timeline")]
    affects += [Effect(name, "is stopped before, and made its standby afterwards") for name in others]
    affects.append(
        Effect(cluster.repository, f"gets a full backup afterwards{', in each repository' if repositories > 1 else ''}")
    )
    skipped = "No node holds data: nothing is stopped, and no restore point is made." if cluster.lost else ""
    return OperationPlan(
        "restore",
        cluster.name,
        "restore-in-place",
        f"{plan.sentence}, in place of the present data of the cluster.{again}",
        affects=affects,
        expected=[
            *seen,
            f"Backup {plan.label}: {plan.why}. Recovery follows timeline {plan.timeline}.",
            f"WAL to replay: at most {plan.segments} segments.",
            f"Space: {format_bytes(plan.needed)} needed, {format_bytes(plan.free)} free, its present data counted.",
            f"Time without writes: {took}, and the restart.",
            *([skipped] if skipped else []),
            _way_back(undo, cluster),
            *_kept_in_second(second),
            *([] if confirmed else [f"It is done when it is confirmed: -e confirm={cluster.name}."]),
        ],
        risks=[*([lost] if lost else []), *plan.notes],
        refusals=found,
    )


_REPLACES = " The target of an earlier run was not reached; this one takes its place."


def _way_back(undo: Undo | str, cluster: Cluster) -> str:
    if isinstance(undo, str):
        return f"No way back: {undo}."
    return f"The way back, until {undo.until}: {undo.command(cluster.name)}"


def _kept_in_second(second: Undo | str | None) -> list[str]:
    if second is None:
        return []
    if isinstance(second, str):
        return [f"Repository {SECOND} keeps no backup for it: {second.rstrip('.')}."]
    return [f"Repository {SECOND} keeps the backup {second.label} for it as long."]


def loss_in_words(cluster: Cluster, plan: RestorePlan, target: Target, wal: int, now: datetime) -> str:
    """What the cluster has now and will not have afterwards; empty where that is nothing."""
    if cluster.lost:
        return "What was not archived before the loss is gone."
    present = cluster.timeline or cluster.newest_timeline
    size = f" ({format_bytes(wal)} of archived WAL at most)" if wal else ""
    if target.type == "latest" and plan.timeline == present:
        return "" if cluster.primaries else "What the last primary had not archived goes."
    if target.type == "latest":
        return f"Everything that was written on timeline {present} goes from the cluster{size}."
    since = f" of the last {format_duration((now - target.moment).total_seconds())}" if target.moment else ""
    return f"Everything that was written after it{since} goes from the cluster{size}."


def report(
    unfinished: Unfinished, outcome: Mapping[str, Any], standbys: Sequence[str], backups: Mapping[str, Any]
) -> str:
    """What was done, and how it is undone; ``backups``: what ``restore_backup`` returns."""
    last = f"last commit {outcome['last_commit']}" if outcome["last_commit"] else "no commit after the backup"
    seconds = f"copied in {outcome['copy_s']:g} s, recovered in {outcome['recovery_s']:g} s"
    follow = f"{' and '.join(standbys) or 'nobody'} follows it"
    made, away = backups["backups"], backups["away"]
    words = "{label} in repository {repository}" if len(made) + len(away) > 1 else "{label}"
    full = " and ".join(words.format(**one) for one in made)
    lines = [
        f"The cluster {unfinished.cluster} is at {unfinished.plan['sentence']}.",
        f"  Position {outcome['lsn']} on timeline {outcome['recovered_timeline']}; {last}.",
        f"  {unfinished.node} is primary on timeline {outcome['timeline']}; {follow}.",
        f"  Backup {outcome['backup']}; {seconds}. Archiving is proved; full backup {full}.",
        *(_lacks_backup(one) for one in away),
        "  Passwords of users, and all else that was changed since, are as they were then: site.yml makes them as the "
        "inventory says.",
    ]
    if not unfinished.undo:
        return "\n".join([*lines, "  There is no way back."])
    undo = Undo(**dict(unfinished.undo))
    return "\n".join(
        [
            *lines,
            f"  To undo it, until {undo.until} (the backup {undo.label} is pinned until then):",
            f"    {undo.command(unfinished.cluster)}",
        ]
    )


def _lacks_backup(one: Mapping[str, Any]) -> str:
    reason = str(one["reason"]).strip().rstrip(".")
    return (
        f"  Repository {one['repository']} got no full backup: {reason}. Until it has one, its newest backups lead "
        f"to the timeline that was left: backup.yml -e repository_number={one['repository']} -e day=1."
    )


def undo_dict(undo: Undo | str) -> dict[str, Any]:
    """As the record keeps it; empty where there is none."""
    return {} if isinstance(undo, str) else asdict(undo)


def size_needed(label: str, repository: Repository) -> int:
    """Bytes that the restore of a backup needs."""
    return next(needed(backup) for backup in repository.usable if backup["label"] == label)
