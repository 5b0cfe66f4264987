# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``add_node.yml`` does to make one host a standby of a cluster that runs, and why it would not be begun.

Decided before anything is touched. The others are told first, so that a node that streams is known to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._operation_plan import Effect, OperationPlan
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
    """``disk``: None where the node's disk could not be asked, since its container does not run."""

    disk: Disk | None = None


def addition(facts: Facts) -> OperationPlan:
    """The decision: ``action`` is ``none`` where it is a standby of the cluster already."""
    primary = facts.others.primary
    part = f"{facts.node} is part of it already"
    if rules(facts):
        return OperationPlan(OPERATION, facts.cluster, "none", f"{part}, and is primary.")
    if primary and belongs(facts, primary):
        return OperationPlan(OPERATION, facts.cluster, "none", f"{part}, and follows {primary.name}.")
    plan = OperationPlan(
        OPERATION,
        facts.cluster,
        "add",
        f"{facts.node} becomes a standby of {primary.name if primary else 'the primary'}.",
        [
            Effect(facts.node, _becomes(facts)),
            *(Effect(state.name, _learns(facts, state)) for state in facts.others.states),
            Effect(facts.repository, "lets it archive, and takes backups from it, too"),
        ],
        ["No other server is restarted.", "All data are copied from the primary, unless the node holds them."],
    )
    for why in _refusals(facts):
        plan = plan.refused(why)
    return plan


def rules(facts: Facts) -> bool:
    """Whether it is the one primary of the cluster whose standbys answer; with none, of a cluster of its own."""
    state = facts.state
    others = {one.system_identifier for one in facts.others.states if one.reachable}
    ours = state is not None and (state.system_identifier in others or not facts.others.states)
    return ours and facts.topology.primary == state


def belongs(facts: Facts, primary: NodeState) -> bool:
    """Whether nothing is left to do: it streams, which comes last, and counts where a synchronous standby is wanted."""
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
    found = [facts.unfinished] if facts.unfinished else []
    if facts.repository in facts.unreachable:
        found.append(
            f"The repository host {facts.repository} does not answer ({facts.why(facts.repository)}), and must let "
            f"{facts.node} archive. Start it."
        )
    found += [
        f"{state.name} does not answer ({facts.why(state.name)}), and must be told of {facts.node}. Start it."
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
    return found


def _about_the_node(facts: Facts) -> list[str]:
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
    if facts.disk.fence and not facts.disk.removed:
        found.append(f"{facts.node} was fenced {facts.disk.fence}: rejoin.yml makes it a standby.")
    return found
