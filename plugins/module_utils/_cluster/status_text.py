# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a cluster as people read it: a table, a few lines, and what needs attention."""

from __future__ import annotations

from .._tables import Column, format_bytes, format_duration, format_table
from .connection import HEADING
from .observed import scratch_removal
from .status import ClusterStatus, NodeStatus, iso

COLUMNS = [
    Column("Node"),
    Column("Role"),
    Column("Timeline", right=True),
    Column("Position"),
    Column("Lag", right=True),
    Column("Behind", right=True),
    Column("State"),
]


def status_text(status: ClusterStatus) -> str:
    """The report of ``status.yml``."""
    lines = [format_table(COLUMNS, [_row(node) for node in status.nodes], title=f"CLUSTER {status.cluster}"), ""]
    lines += [
        *_synchronous(status),
        *_archiving(status),
        _last_backup(status),
        *_backups(status),
        *_operations(status),
        *_scratch(status),
        *_connection(status),
        "",
    ]
    lines += [f"! {problem.sentence}" for problem in status.problems] or ["Nothing needs attention."]
    return "\n".join(lines)


def _operations(status: ClusterStatus) -> list[str]:
    return [f"At work: {holder['sentence']}." for holder in status.operations or []]


def _scratch(status: ClusterStatus) -> list[str]:
    lines = []
    for one in status.scratch or []:
        size = f", port {one['port']}, {format_bytes(one['size'])}" if one["port"] else ""
        removal = f"{scratch_removal(one, status.repository_host)} removes it"
        lines.append(f"Scratch instance {one['name']} on {one['host']}: {one['state']}{size} ({removal}).")
    return lines


def _connection(status: ClusterStatus) -> list[str]:
    direct = [HEADING, *(f"  {line}" for line in status.connection.lines)] if status.connection else []
    return direct + (status.proxy.lines if status.proxy else [])


def _row(node: NodeStatus) -> list[object]:
    if not node.answers:
        return [node.name, "-", "-", "-", "-", "-", _DOWN.get(node.state, f"container {node.container}")]
    if node.role == "primary":
        streaming = sum(sender.streams for sender in node.senders)
        return [node.name, "primary", node.timeline, node.lsn, "-", "-", f"{streaming} streaming"]
    follows = f" from {node.upstream}" if node.upstream else ""
    state = f"{node.state}{follows}" if node.state == "streaming" else f"not streaming{follows}"
    lag, behind = format_bytes(node.lag.replay_lag_bytes), format_duration(_rounded(node.lag.lag_seconds))
    return [node.name, "standby", node.timeline, node.lsn, lag, behind, state]


_DOWN = {
    "unreachable": "does not answer",
    "hung": "runs, does not answer",
    "starting": "is starting",
    "refuses-us": "does not let us in",
    "stopped": "stopped",
    "crashed": "does not run",
    "empty": "holds no data",
    "refused": "kept down by its guard",
    "waiting": "its guard waits",
    "fenced": "fenced",
    "rejoin-interrupted": "rejoin interrupted",
    "restoring": "is being restored",
    "removed": "removed from its cluster",
}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 1)


def _synchronous(status: ClusterStatus) -> list[str]:
    if not status.primary or not status.synchronous.names:
        return []
    counted = [sender.name for sender in status.primary.senders if sender.counts]
    return [f"Synchronous: each commit waits for {' or '.join(counted) or 'a standby, and none streams'}."]


def _archiving(status: ClusterStatus) -> list[str]:
    archiver = status.archiver
    if not archiver:
        return []
    if not archiver.last_archived:
        return ["Archiving: nothing archived since the server's statistics began."]
    age = format_duration(archiver.last_archived_age_s)
    state = "FAILS" if archiver.failing else "works"
    return [f"Archiving: {state}; last segment {archiver.last_archived}, {age} ago."]


def _last_backup(status: ClusterStatus) -> str:
    if status.backups is None:
        return "Last backup: unknown, the repository host does not answer."
    last = status.last_backup
    if last is None:
        return "Last backup: none."
    age = format_duration(status.age_s(last))
    return f"Last backup: {last.label} ({last.type}) of {last.primary or 'an unknown primary'}, {age} ago."


def _backups(status: ClusterStatus) -> list[str]:
    lines = [f"A backup is running: {status.backup_running}."] if status.backup_running else []
    window = status.recovery_window
    if window:
        lines.append(f"Recovery window: any moment from {iso(window[0])} to {iso(window[1])}.")
    if status.next_day:
        lines.append(f"Next backup: day {status.next_day} of the cycle.")
    return lines
