# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``remove_node.yml`` does to take one standby out of a cluster that runs, and why it would not be begun.

Decided before anything is touched. The node is stopped for good first, and what it was known by goes after that: a run
that was cut off leaves a standby that is down, never one that nobody counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._operation_plan import Effect, OperationPlan
from .inventory import IDENTIFIED
from .node_facts import NodeFacts
from .slots import of_others
from .topology import NodeState, TopologyError

OPERATION = "remove_node"


@dataclass(frozen=True)
class Request:
    """What was asked for: the node's name, typed (``confirm``); its data too; although it is the last standby; although
    nothing could prove that it is stopped; although others have slots on it, or stream from it."""

    confirm: str = ""
    data: bool = False
    last: bool = False
    force: bool = False
    consumers: bool = False


@dataclass(frozen=True)
class Scratch:
    """What was restored beside ``cluster`` on the node that leaves; ``note``: the repository host's file of it."""

    name: str
    cluster: str
    note: str = ""


@dataclass(frozen=True)
class Facts(NodeFacts):
    """``preferred``: whether the node is the preferred primary. ``fence_command``: whether one is there that stops a
    machine. ``scratch``: what was restored there. ``proxies``: the hosts with HAProxy in front of the cluster.
    ``also``: the other groups that the inventory has its host in."""

    preferred: bool = False
    fence_command: bool = False
    scratch: Sequence[Scratch] = ()
    proxies: Sequence[str] = ()
    also: Sequence[str] = ()

    @property
    def is_container(self) -> bool:
        return self.node in self.containers

    @property
    def answers(self) -> bool:
        return self.node not in self.unreachable

    @property
    def peers(self) -> list[str]:
        """The other nodes that answer, which have to forget it."""
        return [state.name for state in self.others.states if state.name not in self.unreachable]


@dataclass(frozen=True)
class Retirement:
    """``peers``: the other nodes that answer, whose guards forget it; ``servers``: those whose servers do, too, and
    drop its slots. ``asks_node``: it answers, and stops its server itself. ``fences``: it is stopped from outside, by
    its engine or by the fence command. ``clears``: its data go. ``keeps``: what its host goes on being, by the groups
    of the inventory; ``keys``: its key and certificate go. ``left``: what remains to be done, in sentences."""

    plan: OperationPlan
    peers: list[str]
    servers: list[str]
    asks_node: bool
    fences: bool
    clears: bool
    keeps: list[str]
    keys: bool
    left: list[str]


def retirement(request: Request, facts: Facts) -> Retirement:
    """The decision; its plan holds the refusals."""
    machine_away = not facts.is_container and not facts.answers
    left = _left(request, facts, machine_away)
    plan = OperationPlan(
        OPERATION,
        facts.cluster,
        "remove",
        f"{facts.node} is taken out of it{' with its data' if request.data else '; its data stay'}.",
        [
            Effect(facts.node, _becomes(request, facts, machine_away)),
            *(Effect(name, _forgets(facts, name)) for name in facts.peers),
            Effect(facts.repository, "no longer lets it archive, nor takes backups from it"),
            *(Effect(name, "forgets it: its HAProxy") for name in facts.proxies),
        ],
        left,
        _risks(request, facts),
    )
    for why in _refusals(request, facts, machine_away):
        plan = plan.refused(why)
    return Retirement(
        plan,
        facts.peers,
        [name for name in facts.peers if (state := facts.topology.find(name)) and state.reachable],
        asks_node=facts.answers,
        fences=facts.is_container or (machine_away and facts.fence_command),
        clears=request.data and not machine_away,
        keeps=list(facts.also),
        keys=not IDENTIFIED & set(facts.also),
        left=left,
    )


def _becomes(request: Request, facts: Facts, machine_away: bool) -> str:
    if machine_away:
        how = "by failover_fence_command" if facts.fence_command else "as you say"
        return f"is stopped, {how}; its disk cannot be reached"
    if not request.data:
        return "is stopped for good, and may not start again; its data stay"
    if facts.is_container:
        return "is removed, with its container and volumes"
    if facts.also:
        return (
            f"is stopped for good; its data, configuration, markers and unit are deleted; its packages stay, and what "
            f"it needs in the group {_and(facts.also)}"
        )
    return "is stopped for good; its data, configuration, keys, markers and units are deleted, its packages stay"


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)


def _forgets(facts: Facts, name: str) -> str:
    primary = facts.others.primary
    counted = primary is not None and primary.name == name and f'"{facts.node}"' in primary.synchronous.names
    told = "forgets it, and drops its slot"
    return f"{told}; no longer counts it as a synchronous standby" if counted else told


def _left(request: Request, facts: Facts, machine_away: bool) -> list[str]:
    entry = (
        f"Take {facts.node} out of the group postgres of the inventory; it stays in the group {_and(facts.also)}. "
        if facts.also
        else f"Take {facts.node} out of the inventory: its entry in the group postgres, with its variables. "
    )
    found = [
        entry
        + (
            "Until then site.yml would make it anew."
            if request.data and not machine_away
            else "Until then site.yml refuses to bring it back; add_node.yml does."
        )
    ]
    if facts.preferred:
        found.append("It is the preferred primary: set node_preferred_primary on another node.")
    if machine_away:
        found[0] = f"Take {facts.node} out of the inventory once it was removed while it answers."
        found.append(
            f"Run this again when {facts.node} answers: its disk does not know yet that it was removed. Until then do "
            "not run site.yml or rejoin.yml, which would bring it back. Its server may start as a standby that nobody "
            "sends WAL; its guard lets it start as a primary no more than before."
        )
    found += [
        f"The server of {state.name} does not answer. Once it does, run site.yml, after which its start guard has "
        f"forgotten {facts.node}; a slot that it may have for it is named by status.yml."
        for state in facts.others.states
        if not state.reachable or state.name in facts.unreachable
    ]
    return found


def _risks(request: Request, facts: Facts) -> list[str]:
    found = [f"Nothing brings the data of {facts.node} back."] if request.data else []
    if not _standbys(facts):
        found.append("The cluster has no standby then, which could take over.")
    found += _consumers(facts)
    if request.data and not (facts.state and facts.state.reachable):
        found.append(f"Its server does not answer, so nobody knows which replication slots of others {facts.node} has.")
    if not request.data:
        found += [
            f"{one.name}, restored beside {one.cluster}, stays on {facts.node}, and cannot be removed from here once "
            f"{facts.node} is out of the inventory: {_removes(facts, one)}."
            for one in facts.scratch
        ]
    return found


def _consumers(facts: Facts) -> list[str]:
    """Who reads from it, in sentences. Not copies of the primary's failover slots, nor what is temporary."""
    state = facts.state
    if state is None or not state.reachable:
        return []
    nodes = [one.name for one in facts.topology.states]
    found = [
        f"The logical slot {slot.name} (database {slot.database}) is on {facts.node} alone: its consumer has to begin "
        "anew elsewhere."
        if slot.type == "logical"
        else f"The slot {slot.name}, which is not one of this cluster's standbys, is on {facts.node} alone: its "
        "consumer needs one elsewhere."
        for slot in of_others(state.slots, nodes)
        if not slot.synced
    ]
    return found + [
        f"{sender.name or 'Somebody without a name'}{f' ({sender.address})' if sender.address else ''} is sent WAL by "
        f"{facts.node}, and is cut off."
        for sender in state.senders
    ]


def _removes(facts: Facts, one: Scratch) -> str:
    return f"restore.yml -e cluster={one.cluster} -e remove={one.name} -e restore_host={facts.node}"


def _standbys(facts: Facts) -> list[NodeState]:
    """The other standbys that stream."""
    return [one for one in facts.others.standbys if one.receiver and one.receiver.streams]


def _refusals(request: Request, facts: Facts, machine_away: bool) -> list[str]:
    found = [why for why in (facts.unfinished, facts.second) if why]
    if request.confirm != facts.node:
        given = f"confirm={request.confirm} is not its name. " if request.confirm else ""
        found.append(f"{given}Confirm it with -e confirm={facts.node}.")
    if facts.is_container and facts.also:
        found.append(
            f"{facts.node} is a container that is also in the group {_and(facts.also)}, and would stop as a whole. "
            "Give that a host of its own first."
        )
    if facts.repository in facts.unreachable:
        why = facts.why(facts.repository)
        # Nobody was asked who is primary.
        return [
            *found,
            f"The repository host {facts.repository} does not answer ({why}), and must forget {facts.node}. Start it.",
        ]
    state = facts.topology.find(facts.node)
    if state is not None and state.is_primary and facts.others.primary is None:
        successor = facts.others.best_candidate
        how = f"failover.yml -e candidate={successor.name}" if successor else "failover.yml, once a standby answers"
        last = "" if facts.others.states else " A whole cluster is removed with remove.yml."
        return [*found, f"{facts.node} is the primary. Hand over first: {how}.{last}"]
    try:
        primary = facts.topology.require_primary()
    except TopologyError as error:
        return [*found, error.message]
    if primary.name in facts.unreachable:
        why = facts.why(primary.name)
        found.append(f"The primary {primary.name} does not answer ({why}), and must drop its slot. Look at it.")
    found += _about_the_rest(request, facts, primary)
    if request.data and not machine_away:
        found += _about_its_data(request, facts)
    if machine_away and not facts.fence_command and not request.force:
        why = facts.why(facts.node)
        found.append(
            f"{facts.node} does not answer ({why}), and nothing could stop it. Set failover_fence_command, or switch "
            "it off for good and say so with -e force=true."
        )
    return found


def _about_its_data(request: Request, facts: Facts) -> list[str]:
    """What would go with its data, and is not the cluster's."""
    found = [
        f"{one.name} was restored beside {one.cluster} on {facts.node}. Remove it first: {_removes(facts, one)}."
        + (f" If it is gone with its host, delete {one.note} on {facts.repository}." if one.note else "")
        for one in facts.scratch
    ]
    consumers = _consumers(facts)
    if consumers and not request.consumers:
        found.append(
            f"Others read from {facts.node}. {' '.join(consumers)} Move them first, or say -e lose_consumers=true."
        )
    return found


def _about_the_rest(request: Request, facts: Facts, primary: NodeState) -> list[str]:
    """What would be missing without it."""
    if _standbys(facts):
        return []
    found = []
    if primary.synchronous.wanted or primary.synchronous.names:
        found.append(
            f"{primary.name} requires a synchronous standby, and without {facts.node} none streams: it would take no "
            "writes. Add another one first, or run site.yml with postgresql_synchronous off."
        )
    if not request.last:
        found.append(
            f"Without {facts.node} no standby streams, and nobody could take over. Add another one first, or say "
            "-e last_standby=true."
        )
    return found
