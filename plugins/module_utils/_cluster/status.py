# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a cluster as people read it: topology, replication, slots, archiving, markers, the last backup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .._tables import Column, format_bytes, format_duration, format_table
from .synchronous import WAY_OUT, blocked, counts

Data = Mapping[str, Any]

#: A standby that streams confirms a commit within milliseconds.
STALLED_S = 5


def problems(
    topology: Data, nodes: Data, backups: Sequence[Data] | None, down: Data | None = None, archived: int = 0
) -> list[str]:
    """What somebody should do something about, one sentence each; empty on a healthy cluster.

    ``archived`` is the newest timeline that the archive knows.
    """
    found = []
    if not topology["primaries"]:
        found.append("No primary takes writes. Start the old one, or run failover.yml to promote a standby.")
    elif len(topology["primaries"]) > 1:
        found.append(f"Two primaries take writes: {' and '.join(topology['primaries'])}. Stop one at once.")
    for name, node in topology["nodes"].items():
        found += _node_problems(name, node, nodes.get(name), topology["primary"], (down or {}).get(name))
    found += _given_up(topology, archived)
    if backups is None:
        found.append("The repository host does not answer, so nothing is archived or backed up. Start it.")
    elif not backups:
        found.append("There is no backup. Run backup.yml.")
    return found


def _given_up(topology: Data, archived: int) -> list[str]:
    """A timeline in the archive that is newer than all that the servers are on."""
    primary = topology["primary"]
    if not primary or archived <= max(int(node.get("timeline") or 0) for node in topology["nodes"].values()):
        return []
    unreachable = [name for name, node in topology["nodes"].items() if node["role"] == "unreachable"]
    newer = f"The archive holds timeline {archived}, newer than the timeline {primary['timeline']} of {primary['name']}"
    if unreachable:
        return [f"{newer}; {' or '.join(unreachable)}, which does not answer, may be on it."]
    return [
        f"{newer}, and nobody follows it. A restore to the latest point would look for it and fail: hand the role over "
        "once, which opens a newer timeline (failover.yml, then failback.yml)."
    ]


def _node_problems(
    name: str, node: Data, disk: Data | None, primary: Data | None, down: Data | str | None = None
) -> list[str]:
    """``down``: the state of a container that does not run, or the fence marker that is on its disk."""
    found = []
    rejoin = "Run rejoin.yml." if primary else "It comes back with rejoin.yml, once there is a primary."
    if down is not None:
        if isinstance(down, str):
            return [f"The container {name} is {down}. {'Run rejoin.yml.' if primary else 'Start it.'}"]
        return [f"{name} was fenced by {down['by']} at {down['at']} for {down['successor']} and is down. {rejoin}"]
    if disk and disk["rejoin"]:
        found.append(f"{name} was cut off while it was rejoining. {rejoin}")
    if disk and disk["fence"]:
        fence = disk["fence"]
        found.append(f"{name} was fenced by {fence['by']} at {fence['at']} for {fence['successor']}. {rejoin}")
    elif node["role"] == "unreachable":
        guard = (disk or {}).get("guard") or {}
        reason = f": {guard['reason']}" if guard.get("reason") and not (disk or {}).get("running") else ""
        found.append(
            f"{name} does not answer ({node['error']}){reason}. {'Run rejoin.yml.' if primary else 'Start it.'}"
        )
    if primary and node["role"] == "standby" and (node.get("receiver") or {}).get("status") != "streaming":
        found.append(f"{name} does not stream from {primary['name']}. Run rejoin.yml.")
    if node.get("replay_paused"):
        found.append(f"Replay is paused on {name}.")
    if node["role"] == "primary":
        found += _synchronous_problems(name, node)
    if node["role"] == "primary" and (node.get("archiver") or {}).get("failing"):
        found.append(f"Archiving fails on {name} at {node['archiver']['last_failed']}. See its log and the repository.")
    found += [
        f"The slot {slot['name']} on {name} keeps {format_bytes(slot['kept_bytes'])} of WAL for a standby that is away."
        for slot in node.get("slots") or []
        if node["role"] == "primary" and not slot["active"] and slot["kept_bytes"]
    ]
    if node.get("pending_restart"):
        found.append(f"{name} must be restarted for {', '.join(node['pending_restart'])}: site.yml -e restart=true.")
    return found


def _synchronous_problems(name: str, node: Data) -> list[str]:
    state = node.get("synchronous") or {}
    if not state.get("names"):
        return (
            [f"{name} takes writes without a synchronous standby until one follows. Run rejoin.yml."]
            if state.get("wanted")
            else []
        )
    waiting = f"{state['waiting']} sessions wait" + (
        f", the longest for {format_duration(state['waiting_s'])}" if state["waiting"] else ""
    )
    if blocked(node):
        return [
            f"BLOCKED: {name} takes no writes, since it requires a synchronous standby ({state['names']}) and none "
            f"streams; {waiting}. {WAY_OUT}"
        ]
    if state["waiting_s"] >= STALLED_S:
        return [f"BLOCKED: the synchronous standby of {name} does not confirm what it is sent; {waiting}. {WAY_OUT}"]
    return []


def status_text(
    topology: Data,
    nodes: Data,
    backups: Sequence[Data] | None,
    cluster: str,
    down: Data | None = None,
    archived: int = 0,
) -> str:
    """The report of ``status.yml``; ``backups`` None: the repository did not answer."""
    columns = [
        Column("Node"),
        Column("Role"),
        Column("Timeline", right=True),
        Column("Position"),
        Column("Lag", right=True),
        Column("Behind", right=True),
        Column("State"),
    ]
    rows = [_row(node) for node in topology["nodes"].values()]
    lines = [format_table(columns, rows, title=f"CLUSTER {cluster}"), ""]
    lines += [*_synchronous(topology["primary"]), *_archiving(topology["primary"]), _last_backup(backups)]
    found = problems(topology, nodes, backups, down, archived)
    lines += ["", *(f"! {problem}" for problem in found)] if found else ["", "Nothing needs attention."]
    return "\n".join(lines)


def _row(node: Data) -> list[object]:
    if node["role"] == "unreachable":
        return [node["name"], "-", "-", "-", "-", "-", "does not answer"]
    if node["role"] == "primary":
        streaming = sum(sender["state"] == "streaming" for sender in node["senders"])
        return [node["name"], "primary", node["timeline"], node["current_lsn"], "-", "-", f"{streaming} streaming"]
    receiver = node.get("receiver") or {}
    state = f"{receiver['status']} from {receiver['host']}" if receiver else "follows nobody"
    lag, behind = format_bytes(node["replay_lag_bytes"]), format_duration(_rounded(node["lag_seconds"]))
    return [node["name"], "standby", node["timeline"], node["replay_lsn"], lag, behind, state]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), 1)


def _synchronous(primary: Data | None) -> list[str]:
    state = (primary or {}).get("synchronous") or {}
    if not state.get("names"):
        return []
    counted = [sender["name"] for sender in (primary or {})["senders"] if counts(sender)]
    return [f"Synchronous: each commit waits for {' or '.join(counted) or 'a standby, and none streams'}."]


def _archiving(primary: Data | None) -> list[str]:
    if not primary:
        return []
    archiver = primary["archiver"]
    if not archiver["last_archived"]:
        return ["Archiving: nothing archived since the server's statistics began."]
    age = format_duration(archiver["last_archived_age_s"])
    state = "FAILS" if archiver["failing"] else "works"
    return [f"Archiving: {state}; last segment {archiver['last_archived']}, {age} ago."]


def _last_backup(backups: Sequence[Data] | None) -> str:
    if backups is None:
        return "Last backup: unknown, the repository host does not answer."
    if not backups:
        return "Last backup: none."
    last = backups[-1]
    stopped = int(last["timestamp"]["stop"])
    age = format_duration(int(datetime.now().timestamp()) - stopped)
    primary = (last.get("annotation") or {}).get("relevo-primary", "an unknown primary")
    return f"Last backup: {last['label']} ({last['type']}) of {primary}, {age} ago."
