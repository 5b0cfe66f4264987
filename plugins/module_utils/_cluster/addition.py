# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``add_node.yml`` does to make one host a standby of a cluster that runs, and why it would not be begun.

Decided before anything is touched. The others are told first, so that a node that streams is known to all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import _names
from .._operation_plan import Effect, OperationPlan
from .._server.sender_limit import SENDERS_OF_A_COPY, sender_limit
from .node_facts import NodeFacts
from .topology import NodeState, TopologyError

OPERATION = "add_node"


@dataclass(frozen=True)
class Disk:
    """What the disk of the host that is added says.

    ``system_identifier``: of the data that it holds, empty where it holds none. ``fence``: why it may not start.
    ``refusal``: why it cannot be set up, as ``pg_node_info`` says it. ``restoring``: the cluster is being restored.
    ``removed``: it was removed from its cluster, after which nothing else brings it back, whether or not it was fenced.
    """

    system_identifier: str = ""
    fence: str = ""
    refusal: str = ""
    restoring: bool = False
    removed: bool = False


@dataclass(frozen=True)
class Facts(NodeFacts):
    """``disk``: None where the node's disk could not be asked, since its container does not run. ``proxies``: the hosts
    with HAProxy in front of the cluster."""

    disk: Disk | None = None
    proxies: Sequence[str] = ()


@dataclass(frozen=True)
class Addition:
    """``adds``: all of it is done. ``completes``: it streams, and what a run that was cut off after that has left out
    is done. The hosts with HAProxy are told of it in any case."""

    plan: OperationPlan
    adds: bool = False
    completes: bool = False


def addition(facts: Facts) -> Addition:
    """The decision: ``action`` is ``finish`` where the node is part of the cluster already, or ``none`` where nothing
    can be missing after that."""
    primary = facts.others.primary
    part = f"{facts.node} is part of it already"
    if rules(facts):
        told = _proxies(facts, "is told of it, if it does not know it")
        action = "finish" if told else "none"
        return Addition(OperationPlan(OPERATION, facts.cluster, action, f"{part}, and is primary.", told))
    if primary and belongs(facts, primary):
        return _finish(facts, f"{part}, and follows {primary.name}.")
    plan = OperationPlan(
        OPERATION,
        facts.cluster,
        "add",
        f"{facts.node} becomes a standby of {primary.name if primary else 'the primary'}.",
        [
            Effect(facts.node, _becomes(facts)),
            *(Effect(state.name, _learns(facts, state)) for state in facts.others.states),
            Effect(facts.repository, "lets it archive, and takes backups from it, too"),
            *_proxies(facts, "is told of it"),
        ],
        ["No other server is restarted.", "All data are copied from the primary, unless the node holds them."],
    )
    for why in _refusals(facts):
        plan = plan.refused(why)
    return Addition(plan, adds=True)


def _finish(facts: Facts, message: str) -> Addition:
    """It streams. What comes after that may be missing: markers that go, the reload, the proxies."""
    plan = OperationPlan(
        OPERATION,
        facts.cluster,
        "finish",
        message,
        [
            Effect(facts.node, "gets what a run that was cut off has left out, if anything"),
            *_proxies(facts, "is told of it, if it does not know it"),
        ],
    )
    for why in [*([facts.unfinished] if facts.unfinished else []), *_in_the_way_there(facts)]:
        plan = plan.refused(why)
    return Addition(plan, completes=True)


def _proxies(facts: Facts, told: str) -> list[Effect]:
    return [Effect(name, f"{told}: its HAProxy") for name in facts.proxies]


def rules(facts: Facts) -> bool:
    """Whether it is the one primary of the cluster whose standbys answer; with none, of a cluster of its own."""
    state = facts.state
    others = {one.system_identifier for one in facts.others.states if one.reachable}
    ours = state is not None and (state.system_identifier in others or not facts.others.states)
    return ours and facts.topology.primary == state


def belongs(facts: Facts, primary: NodeState) -> bool:
    """Whether it streams, before which all others are told of it, and counts where a synchronous standby is wanted."""
    state = facts.state
    if state is None or not state.is_standby or not (state.receiver and state.receiver.streams):
        return False
    sent = any(sender.name == facts.node and sender.state == "streaming" for sender in primary.senders)
    synchronous = primary.synchronous
    return sent and (not (synchronous.wanted or synchronous.names) or f'"{facts.node}"' in synchronous.names)


def _learns(facts: Facts, other: NodeState) -> str:
    told = "is told of it, for its start guard"
    requires = other == facts.others.primary and other.synchronous.wanted
    return f"{told}, and counts it as a synchronous standby" if requires else told


def _becomes(facts: Facts) -> str:
    state = facts.containers.get(facts.node)
    if state == "missing":
        return "gets a container, and is made a standby"
    if state is not None and state != "running":
        return "is started, and made a standby"
    if facts.disk and facts.disk.system_identifier:
        return "holds data of this cluster, and is made a standby with them"
    return "is set up as a standby"


def _refusals(facts: Facts) -> list[str]:
    found = [why for why in (facts.unfinished, facts.second) if why]
    if facts.repository in facts.unreachable:
        found.append(
            f"The repository host {facts.repository} does not answer ({facts.why(facts.repository)}), and must let "
            f"{facts.node} archive. Start it."
        )
    found += [
        f"{state.name} does not answer ({facts.why(state.name)}), and must be told of {facts.node}. "
        f"{_cure(facts, state)}"
        for state in facts.others.states
        if state.name in facts.unreachable
    ]
    found += _about_the_node(facts)
    if facts.repository in facts.unreachable:
        # Nobody was asked who is primary.
        return found
    if not facts.others.states:
        return [*found, f"{facts.node} is the only node of {facts.cluster}. site.yml makes a cluster."]
    try:
        primary = facts.others.require_primary()
    except TopologyError as error:
        return [*found, error.message]
    own = {facts.disk.system_identifier if facts.disk else "", (facts.state and facts.state.system_identifier) or ""}
    foreign = sorted(own - {"", primary.system_identifier})
    if foreign and primary.system_identifier:
        found.append(
            f"{facts.node} holds the data of another cluster (system identifier {foreign[0]}; that of {facts.cluster} "
            f"is {primary.system_identifier}). They would be overwritten. Move them away, or name another host."
        )
    return found + _no_room(facts, primary)


def _cure(facts: Facts, other: NodeState) -> str:
    if facts.containers.get(other.name) == "missing":
        return "Let site.yml make it; or if it is new, too, take it out of the inventory until its turn comes."
    return "Start it."


def _no_room(facts: Facts, primary: NodeState) -> list[str]:
    """What the primary has too little of for one more standby. A node whose own data do would need no copy, which
    nobody knows before."""
    has_slot = any(slot.name == _names.slot_name(facts.node) for slot in primary.slots)
    streams = any(sender.name == facts.node for sender in primary.senders)
    limit = sender_limit(len(facts.topology.states))
    slots, senders = len(primary.slots), len(primary.senders)
    asked = [
        ("max_replication_slots", "replication slots", primary.free_slots, 0 if has_slot else 1, slots),
        ("max_wal_senders", "WAL senders", primary.free_senders, 0 if streams else SENDERS_OF_A_COPY, senders),
    ]
    return [
        f"{primary.name} has {free} of its {what} left, and a copy for {facts.node} takes {needed}. Set {name} in "
        f"postgresql_parameters to {max(limit, used + needed)} or more, take {facts.node} out of the inventory until "
        "site.yml -e restart=true has brought that into force, and run this again; or free what nobody needs "
        "(status.yml -e format=json lists slots and senders)."
        for name, what, free, needed, used in asked
        if free is not None and free < needed
    ]


def _about_the_node(facts: Facts) -> list[str]:
    found = _in_the_way_there(facts)
    if facts.disk and facts.disk.fence and not facts.disk.removed:
        found.append(f"{facts.node} was fenced {facts.disk.fence}: rejoin.yml makes it a standby.")
    return found


def _in_the_way_there(facts: Facts) -> list[str]:
    state = facts.containers.get(facts.node)
    if state == "paused":
        return [f"The container {facts.node} is paused. Run: docker unpause {facts.node}"]
    if state is None and facts.node in facts.unreachable:
        return [f"{facts.node} does not answer ({facts.why(facts.node)}). Switch it on."]
    if facts.disk is None:
        return []
    found = [facts.disk.refusal] if facts.disk.refusal else []
    if facts.disk.restoring and not facts.unfinished:
        found.append("The cluster is being restored in place. Finish that first: status.yml names the command.")
    return found
