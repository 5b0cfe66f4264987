# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a cluster as one value: what ``status.yml`` shows as text, prints as JSON and judges.

The shape of the JSON is documented in docs/reference/status.md; ``VERSION`` counts up when a reader has to be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from .._authority import Authority
from .._recovery_window import Hole, Loss, Window
from .._server.lsn import SEGMENT, SEGMENT_SIZE, segment_name, segment_start
from .answer import Archiver, Sender, Slot, SynchronousState
from .connection import ConnectionStrings, ThroughProxy
from .observed import Backup, Disk, GuardNote, Note, Observed, Proxy, Repository
from .topology import Lag, NodeState, OwnPace, Role

VERSION = 1

#: ``streaming`` and ``not-streaming`` are standbys, ``running`` is a primary; the others say why nobody answers now.
State = Literal[
    "running",
    "streaming",
    "not-streaming",
    "fenced",
    "rejoin-interrupted",
    "restoring",
    "removed",
    "refused",
    "waiting",
    "stopped",
    "crashed",
    "empty",
    "hung",
    "starting",
    "refuses-us",
    "container-down",
    "unreachable",
]
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """What somebody should do something about; ``node`` is None where it concerns the whole cluster."""

    code: str
    severity: Severity
    message: str
    action: str
    node: str | None = None

    @property
    def sentence(self) -> str:
        return f"{self.message} {self.action}"


@dataclass(frozen=True)
class NodeStatus:
    """One node. ``state`` is what it does now, ``reason`` why it does not answer, in words; sizes are bytes."""

    name: str
    host: str
    port: int
    preferred: bool
    role: Role
    state: State
    reason: str = ""
    error: str = ""
    container: str = ""
    timeline: int = 0
    lsn: str | None = None
    lag: Lag = field(default_factory=Lag)
    upstream: str | None = None
    started: str | None = None
    system_identifier: str | None = None
    replay_paused: bool = False
    pending_restart: list[str] = field(default_factory=list)
    senders: list[Sender] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    fence: Note | None = None
    rejoin: Note | None = None
    restore: Note | None = None
    removed: Note | None = None
    guard: GuardNote | None = None
    certificate_days: float | None = None
    authority: Authority | None = None
    reload_owed: bool = False
    configuration_faults: Sequence[str] = ()
    tls_reload_owed: bool = False
    recovery: str = ""
    restore_left: Sequence[str] = ()
    own_pace: OwnPace = ""
    foreign_unit: str = ""
    adopted_unit: str = ""

    @property
    def answers(self) -> bool:
        return self.role != "unreachable"


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster; ``backups`` None: the repository did not answer, which is not the same as that there are none."""

    cluster: str
    at: datetime
    nodes: list[NodeStatus]
    primaries: list[str]
    synchronous: SynchronousState
    archiver: Archiver | None
    archive_timeline: int
    repository_host: str
    repository_problem: str
    backups: Sequence[Backup] | None
    backup_running: str | None
    next_day: int
    operations: Sequence[Mapping[str, Any]] | None = None
    window: Window | None = None
    losses: Sequence[Loss] = ()
    differing_settings: Sequence[str] = ()
    repository_reload_owed: bool = False
    repository_certificate_days: float | None = None
    repository_authority: Authority | None = None
    scratch: Sequence[Mapping[str, Any]] | None = None
    schedule: Sequence[Mapping[str, Any]] | None = None
    connection: ConnectionStrings | None = None
    proxy: ThroughProxy | None = None
    proxies: Sequence[Proxy] = ()
    repositories: int = 1
    repositories_away: Sequence[Mapping[str, Any]] = ()
    repositories_behind: Sequence[Mapping[str, Any]] = ()
    newest_archived: str = ""
    dropped: Hole | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def primary(self) -> NodeStatus | None:
        """The one that takes writes; None when there is not exactly one."""
        found = [node for node in self.nodes if node.name in self.primaries]
        return found[0] if len(found) == 1 else None

    @property
    def healthy(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def last_backup(self) -> Backup | None:
        return self.backups[-1] if self.backups else None

    @property
    def recovery_window(self) -> tuple[datetime, datetime] | None:
        """Between which moments every one can be recovered, as far as is known.

        From the end of the oldest backup to the last segment that arrived, or to the end of the newest backup. Where
        WAL is missing in the archive, the newest stretch without a hole.
        """
        if self.window is None:
            return None
        until = self.window.newest
        # What was dropped is archived for the server, and nowhere.
        ended = self.window.ended or self.dropped
        if self.archiver and self.archiver.last_archived_age_s is not None and not ended:
            archived = datetime.fromtimestamp(self.at.timestamp() - self.archiver.last_archived_age_s, UTC)
            until = max(until, archived)
        return self.window.since, until

    def age_s(self, backup: Backup) -> int:
        return round((self.at - backup.finished).total_seconds())

    def as_dict(self) -> dict[str, Any]:
        """The JSON. What is not known is null."""
        last, window, primary = self.last_backup, self.recovery_window, self.primary
        return {
            "version": VERSION,
            "cluster": self.cluster,
            "at": iso(self.at),
            "healthy": self.healthy,
            "primary": primary.name if primary else None,
            "primaries": self.primaries,
            "nodes": [_node_dict(node) for node in self.nodes],
            "synchronous": {
                "wanted": self.synchronous.wanted,
                "required": bool(self.synchronous.names),
                "standbys": [sender.name for sender in primary.senders if sender.counts] if primary else [],
                "waiting_sessions": self.synchronous.waiting,
            },
            "archive": {
                "failing": self.archiver.failing if self.archiver else None,
                "last_segment": self.archiver.last_archived if self.archiver else None,
                "last_segment_age_s": self.archiver.last_archived_age_s if self.archiver else None,
                "last_failed_segment": self.archiver.last_failed if self.archiver else None,
                "newest_timeline": self.archive_timeline or None,
                "dropped": asdict(self.dropped) if self.dropped else None,
            },
            "repository": {
                "host": self.repository_host,
                "answers": self.backups is not None,
                "tls_reload_owed": self.repository_reload_owed,
                "certificate_days": self.repository_certificate_days,
                "authority": asdict(self.repository_authority) if self.repository_authority else None,
                "count": self.repositories,
                "away": [dict(one) for one in self.repositories_away],
            },
            "backups": {
                "count": None if self.backups is None else len(self.backups),
                "running": self.backup_running,
                "last": _backup_dict(last) | {"age_s": self.age_s(last)} if last else None,
                "recovery_window": {"from": iso(window[0]), "until": iso(window[1])} if window else None,
                "next_day": self.next_day or None,
            },
            "operations": None if self.operations is None else [dict(holder) for holder in self.operations],
            "scratch_instances": None if self.scratch is None else [dict(one) for one in self.scratch],
            "schedule": None if self.schedule is None else [dict(one) for one in self.schedule],
            "connection": self.connection.as_dict() if self.connection else None,
            "connection_through_proxy": self.proxy.as_dict() if self.proxy else None,
            "proxies": [_proxy_dict(proxy) for proxy in self.proxies],
            "differing_settings": list(self.differing_settings),
            "problems": [asdict(problem) for problem in self.problems],
        }


def iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")


def _backup_dict(backup: Backup) -> dict[str, Any]:
    return {
        "label": backup.label,
        "type": backup.type,
        "primary": backup.primary,
        "started": iso(backup.started),
        "finished": iso(backup.finished),
    }


#: What is null where there is nothing to say.
_OFTEN_EMPTY = (
    *("reason", "error", "container", "timeline", "recovery", "own_pace"),
    *("foreign_unit", "adopted_unit"),
)


def _node_dict(node: NodeStatus) -> dict[str, Any]:
    given = asdict(node)
    unknown = {name: given[name] or None for name in _OFTEN_EMPTY}
    return given | unknown | {"role": None if node.role == "unreachable" else node.role}


def _proxy_dict(proxy: Proxy) -> dict[str, Any]:
    given = asdict(proxy)
    return given | {"unreachable": proxy.unreachable or None} | (_NOT_ASKED if proxy.unreachable else {})


_NOT_ASKED = {"running": None, "reload_owed": None}


def compose(observed: Observed) -> ClusterStatus:
    """The state without its problems; ``status_problems.with_problems`` finds them."""
    topology, repository = observed.topology, observed.repository
    primary = topology.primary
    dropped = dropped_of(primary.archiver, repository) if primary and repository else None
    return ClusterStatus(
        observed.cluster,
        observed.now,
        [_node_status(observed, state) for state in topology.states],
        [state.name for state in topology.primaries],
        primary.synchronous if primary else SynchronousState(),
        primary.archiver if primary else None,
        repository.newest_timeline if repository else 0,
        observed.repository_host,
        repository.problem if repository else "",
        repository.backups if repository else None,
        repository.running if repository else None,
        observed.next_day,
        observed.operations,
        repository.window if repository else None,
        _losses(repository, dropped) if repository else (),
        differing_settings(observed),
        repository.tls_server_owed if repository else False,
        repository.certificate_days if repository else None,
        repository.authority if repository else None,
        observed.scratch,
        observed.schedule,
        observed.connection,
        observed.proxy,
        observed.proxies,
        repository.count if repository else 1,
        repository.away if repository else (),
        repository.behind if repository else (),
        repository.newest_segment if repository else "",
        dropped,
    )


def dropped_of(archiver: Archiver, repository: Repository) -> Hole | None:
    """The segments that the archiver has been rid of and that came after the newest of the archive.

    pgBackRest says of a segment that it drops (archive-push-queue-max) that it was archived. Nothing comes after it to
    show the hole while all are dropped. The repository was asked after the server, and so has at least as much.
    """
    last, newest = archiver.last_archived or "", repository.newest_segment
    if not repository.backups or not newest or not SEGMENT.fullmatch(last) or last <= newest:
        return None
    count = (segment_start(last) - segment_start(newest)) // SEGMENT_SIZE
    if count <= 0:
        return Hole(last, last, 1)
    return Hole(segment_name(int(last[:8], 16), segment_start(newest) + SEGMENT_SIZE), last, count)


def _losses(repository: Repository, dropped: Hole | None) -> Sequence[Loss]:
    if dropped is None:
        return repository.losses
    # The last backup would have failed without the WAL that it needs.
    return [*repository.losses, Loss(dropped, repository.backups[-1].finished, None)]


def _outlived(state: NodeState, disk: Disk | None) -> Sequence[str]:
    """What a primary still has from the time when it was a standby, whose primary had greater values."""
    return disk.kept_for_primary if disk and state.is_primary else ()


def differing_settings(observed: Observed) -> list[str]:
    """What nodes have written differently although the inventory gives all the same; who cannot say is left out.

    So is who is fenced, or was removed: nothing is written there until it rejoins.
    """
    if not observed.uniform:
        return []
    taking_part = [disk for disk in observed.disks.values() if not (disk.fence or disk.rejoin or disk.removed)]
    known = [disk.configuration.settings for disk in taking_part if disk.configuration.settings]
    names = {name for settings in known for name in settings}
    return sorted(name for name in names if len({settings.get(name) for settings in known}) > 1)


def _node_status(observed: Observed, state: NodeState) -> NodeStatus:
    disk = observed.disks.get(state.name)
    container = observed.containers.get(state.name, "")
    marker = disk.fence if disk else observed.markers.get(state.name)
    removed = disk.removed if disk else observed.removed.get(state.name)
    word, reason = why(state, disk, container, marker, observed.unreachable.get(state.name, ""), removed)
    receiver = state.receiver
    return NodeStatus(
        state.name,
        state.node.host,
        state.node.port,
        state.name == observed.preferred,
        state.role,
        word,
        reason,
        state.error or "",
        container,
        state.timeline,
        state.current_lsn if state.is_primary else state.replay_lsn,
        observed.topology.lag(state) if state.is_standby else Lag(),
        receiver.host if receiver else state.follows,
        state.started,
        state.system_identifier or (disk.system_identifier if disk else None),
        state.replay_paused,
        sorted({*state.pending_restart, *_outlived(state, disk)}),
        state.senders,
        state.slots,
        marker,
        disk.rejoin if disk else None,
        disk.restore if disk else None,
        removed,
        disk.guard if disk else None,
        disk.certificate_days if disk else None,
        disk.authority if disk else None,
        state.has_not_read(disk.configuration_written) if disk else False,
        disk.configuration.faults if disk else (),
        disk.tls_server_owed if disk else False,
        disk.recovery if disk and word == "starting" else "",
        disk.restore_left if disk else (),
        state.own_pace,
        disk.foreign_unit if disk else "",
        disk.adopted_unit if disk else "",
    )


def why(
    state: NodeState,
    disk: Disk | None,
    container: str,
    marker: Note | None,
    unreachable: str,
    removed: Note | None = None,
) -> tuple[State, str]:
    """What a node does now, and in words why its server does not answer: the first of these that is true."""
    if state.is_primary:
        return "running", ""
    if state.is_standby:
        return ("streaming" if state.receiver and state.receiver.streams else "not-streaming"), ""
    if removed:
        return "removed", f"it was removed from its cluster by {removed.requested_by} at {removed.at}"
    if container and container != "running":
        return "container-down", f"its container is {container}" + (f", and {marker.sentence}" if marker else "")
    if state.life == "starting":
        return "starting", state.hindrance
    if state.life == "refused":
        return "refuses-us", state.hindrance
    if disk is None:
        return "unreachable", f"its host does not answer ({unreachable})" if unreachable else "its host does not answer"
    if disk.restore:
        return "restoring", "the cluster is being restored in place"
    if disk.rejoin:
        return "rejoin-interrupted", "it was cut off while it was rejoining"
    if marker:
        return "fenced", marker.sentence
    if disk.running:
        return "hung", "its server runs and does not answer"
    if not disk.initialised:
        return "empty", "it holds no data"
    if not disk.wanted:
        return "stopped", "its service was stopped"
    if disk.guard and disk.guard_holds_it_now:
        word: State = "waiting" if disk.guard.verdict == "wait" else "refused"
        return word, f"its start guard {_SAYS[word]} since {disk.guard.since}: {disk.guard.reason}"
    return "crashed", "its service is wanted, and its server does not run"


_SAYS = {"waiting": "waits", "refused": "refuses the start"}
