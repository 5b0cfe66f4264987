# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``failover.yml`` and ``failback.yml`` have to do, decided from what the servers say.

A failover is a desired state: run again, it never moves the role back. Pure functions over the result of
``pg_primary_facts``, so that every case is a unit test.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .._cluster.synchronous import vouched
from .._errors import RelevoError
from .._server.lsn import parse_lsn, segment_name

Action = Literal["switchover", "promote", "recover", "finish"]


@dataclass(frozen=True)
class Plan:
    """``switchover``: ``primary`` lives and hands over to ``candidate``. ``promote``: ``primary`` (who had the role
    last, as far as is known) is dead, ``candidate`` takes over. ``recover``: ``candidate`` is down, and whoever
    had the role after it is lost; it returns from the archive first. ``finish``: ``candidate`` has the role already.
    ``timeline``: the newest that a ``switchover`` or a ``promote`` ends. ``unreachable``: who else does not answer.
    ``unread``: what a ``promote`` costs if the WAL of the dead primary cannot be read to its end."""

    action: Action
    candidate: str
    primary: str
    message: str
    timeline: int = 0
    salvage_from: str = ""
    unread: str = ""
    unreachable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _position(node: dict[str, Any]) -> tuple[int, int]:
    lsns = [node.get(key) for key in ("receive_lsn", "replay_lsn")]
    return int(node.get("timeline") or 0), max((parse_lsn(lsn) for lsn in lsns if lsn), default=0)


def best_standby(topology: dict[str, Any]) -> dict[str, Any] | None:
    """The standby that knows most: on the newest timeline, then the furthest. The inventory's order breaks a tie."""
    return max(topology["standbys"], key=_position, default=None)


def plan_failover(topology: dict[str, Any], preferred: str, candidate: str = "", force: bool = False) -> Plan:
    """Move the role away from the preferred primary, or to ``candidate``."""
    nodes = topology["nodes"]
    if candidate and candidate not in nodes:
        raise RelevoError(
            f"There is no node {candidate} in this cluster. Nothing was touched; its nodes are {', '.join(nodes)}."
        )
    primary = topology["primary"]
    if primary is None:
        return _plan_emergency(topology, preferred, candidate, force)
    ruler = primary["name"]
    if candidate:
        return _plan_move(topology, ruler, candidate)
    if ruler != preferred:
        return Plan(
            "finish",
            ruler,
            ruler,
            f"{ruler} is primary: the failover has been done. Name a candidate to move it again.",
        )
    standby = best_standby(topology)
    if standby is None:
        raise RelevoError(
            f"{ruler} is primary and no standby answers, so nobody can take over. Nothing was touched; "
            "see status.yml, and run rejoin.yml to bring the standbys back."
        )
    return _plan_move(topology, ruler, standby["name"])


def _plan_move(topology: dict[str, Any], ruler: str, candidate: str) -> Plan:
    nodes = topology["nodes"]
    if candidate == ruler:
        return Plan("finish", ruler, ruler, f"{ruler} is primary already.")
    if nodes[candidate]["role"] != "standby":
        raise RelevoError(
            f"{candidate} is no standby ({nodes[candidate]['error'] or 'it takes writes'}). Nothing was touched; "
            "run rejoin.yml first, or name another candidate."
        )
    return Plan(
        "switchover",
        candidate,
        ruler,
        f"Hand over from {ruler} to {candidate}.",
        int(nodes[ruler]["timeline"]),
        unreachable=_unreachable(topology),
    )


def _unreachable(topology: dict[str, Any], besides: str = "") -> list[str]:
    return [node["name"] for node in topology["unreachable_nodes"] if node["name"] != besides]


def _plan_emergency(topology: dict[str, Any], preferred: str, candidate: str, force: bool) -> Plan:
    nodes = topology["nodes"]
    best = best_standby(topology)
    if candidate and force and nodes[candidate]["role"] != "standby":
        return Plan(
            "recover",
            candidate,
            _lost_primary(topology, preferred, besides=candidate),
            f"Let {candidate} return from the archive, and promote it.",
        )
    if best is None:
        raise RelevoError(
            "No node of the cluster answers, neither as a primary nor as a standby. Nothing was touched; "
            "start a node (see status.yml), then run this again. If the last primary is lost for good, the one before "
            "it returns with failover.yml -e candidate=NODE -e force=true."
        )
    chosen = nodes[candidate] if candidate else best
    if chosen["role"] != "standby":
        raise RelevoError(
            f"{candidate} is no standby ({chosen['error']}). Nothing was touched; {best['name']} could be promoted."
        )
    if _position(chosen) < _position(best) and not force:
        raise RelevoError(
            f"{best['name']} knows more than {candidate}. Nothing was touched; name {best['name']}, "
            "or lose what only it has with force=true."
        )
    timeline = int(chosen["timeline"])
    lost = _lost_primary(topology, preferred)
    return Plan(
        "promote",
        chosen["name"],
        lost,
        f"Promote {chosen['name']}.",
        timeline,
        # The segment of the last byte that the candidate has replayed: from there on the dead primary may know more.
        # The byte after it may be the first of a segment that nobody has begun.
        segment_name(timeline, max(0, parse_lsn(chosen["replay_lsn"]) - 1)),
        _unread(topology, chosen, lost),
        _unreachable(topology, besides=lost),
    )


def _unread(topology: dict[str, Any], chosen: dict[str, Any], lost: str) -> str:
    """What is lost with WAL of the dead primary that nobody can read."""
    name = chosen["name"]
    if not vouched(chosen, lost, int(chosen["timeline"])):
        return "What it had written and not sent is lost; how much is unknown."
    # Any one standby sufficed: it need not have been one of those that answer.
    others = _unreachable(topology, besides=lost)
    exceptions = [f"only {' or '.join(others)}, which does not answer, had them"] if others else []
    exceptions.append(f"that was turned off while {name} was away")
    return (
        f"Its commits waited for a synchronous standby, so those that clients saw acknowledged are on {name}, "
        f"unless {', or '.join(exceptions)}."
    )


def _lost_primary(topology: dict[str, Any], preferred: str, besides: str = "") -> str:
    """Who had the role last: the standbys' settings say whom they followed; else the node that does not answer."""
    unreachable = _unreachable(topology, besides)
    for standby in topology["standbys"]:
        for name in unreachable:
            if standby.get("follows") in (topology["nodes"][name]["host"], name):
                return name
    return preferred if preferred in unreachable or not unreachable else unreachable[0]


def plan_failback(topology: dict[str, Any], preferred: str) -> Plan:
    """Return the role to the preferred primary, which must be a standby by now."""
    primary = topology["primary"]
    if primary is None:
        raise RelevoError(
            "No primary answers, so there is nothing to hand back. Nothing was touched; run failover.yml "
            f"-e candidate={preferred} when {preferred} is a standby, or failover.yml alone to promote the best one."
        )
    return _plan_move(topology, primary["name"], preferred)
