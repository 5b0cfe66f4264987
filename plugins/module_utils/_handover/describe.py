# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failover or a failback is about to do, for people and programs: ``plan`` put into words."""

from __future__ import annotations

from collections.abc import Mapping

from .._cluster.slots import left_behind, ready
from .._cluster.topology import NodeState, Topology
from .._errors import RelevoError
from .._operation_plan import Effect, OperationPlan, refusal
from .._tables import format_bytes
from .plan import Plan, plan_failback, plan_failover, refuse_without_connection


def describe_failover(
    topology: Topology,
    cluster: str,
    preferred: str,
    candidate: str = "",
    force: bool = False,
    fence_living: bool = False,
    no_connection: Mapping[str, str] | None = None,
    removed: Mapping[str, str] | None = None,
) -> OperationPlan:
    try:
        if len(topology.primaries) > 1:
            topology.require_primary()
        plan = plan_failover(topology, preferred, candidate, force, fence_living, removed)
        refuse_without_connection(plan, no_connection or {})
        return describe(plan, "failover", cluster, topology)
    except RelevoError as error:
        return refusal("failover", cluster, error.message)


def describe_failback(topology: Topology, cluster: str, preferred: str) -> OperationPlan:
    """Unlike a failover it brings the nodes back first, so one that is down is no reason to refuse."""
    try:
        if len(topology.primaries) > 1:
            topology.require_primary()
        target = topology.find(preferred)
        current = topology.primary
        if current and target and not target.reachable:
            plan = Plan("switchover", preferred, current.name, f"Hand over from {current.name} to {preferred}.")
            found = describe(plan, "failback", cluster, topology)
            first = Effect(preferred, "is started and made a standby first, if it can be")
            again = "What that has to copy or to discard is not known before it answers; see rejoin.yml -e plan=text."
            return OperationPlan(
                "failback",
                cluster,
                found.action,
                found.message,
                [first, *found.affects],
                found.expected,
                [again, *found.risks],
            )
        return describe(plan_failback(topology, preferred), "failback", cluster, topology)
    except RelevoError as error:
        return refusal("failback", cluster, error.message)


def describe(plan: Plan, operation: str, cluster: str, topology: Topology) -> OperationPlan:
    """A plan of ``plan_failover`` or ``plan_failback`` in words."""
    words = {"switchover": _switchover, "promote": _promote, "recover": _recover, "finish": _finish}
    affects, expected, risks = words[plan.action](plan, topology)
    return OperationPlan(operation, cluster, plan.action, plan.message, affects, expected, risks)


Words = tuple[list[Effect], list[str], list[str]]
PROOF = "It ends with the proof that archiving works from the new primary."


def _others(plan: Plan, topology: Topology) -> list[NodeState]:
    return [state for state in topology.states if state.name not in (plan.primary, plan.candidate)]


def _follow(plan: Plan, topology: Topology) -> list[Effect]:
    def change(state: NodeState) -> str:
        if state.name in plan.removed:
            return "was removed from the cluster and is left alone"
        return f"follows {plan.candidate}" if state.reachable else "does not answer and is left alone"

    return [Effect(state.name, change(state)) for state in _others(plan, topology)]


def _switchover(plan: Plan, topology: Topology) -> Words:
    candidate = topology.find(plan.candidate)
    behind = topology.lag(candidate).replay_lag_bytes if candidate and candidate.reachable else None
    expected = ["Writes stop for less than a second as a rule; past its limit the old primary goes on.", PROOF]
    if behind is not None:
        expected.insert(0, f"{plan.candidate} has {format_bytes(behind)} to replay now.")
    risks = [f"Connections to {plan.primary} end, and their open transactions are rolled back."]
    if plan.unreachable:
        risks.append(f"{' and '.join(plan.unreachable)} cannot be asked and will not follow before rejoin.yml.")
    primary = topology.find(plan.primary)
    if primary and candidate and candidate.reachable:
        names = [state.name for state in topology.states]
        risks += left_behind(primary.name, primary.slots, candidate.name, candidate.slots, names)
    affects = [
        Effect(plan.primary, f"is stopped and becomes a standby of {plan.candidate}"),
        Effect(plan.candidate, "becomes the primary"),
        *_follow(plan, topology),
    ]
    return affects, expected, risks


def _promote(plan: Plan, topology: Topology) -> Words:
    stopped = [Effect(name, "is stopped, since it may have been promoted unseen") for name in plan.unreachable]
    following = [effect for effect in _follow(plan, topology) if effect.name not in plan.unreachable]
    affects = [
        Effect(plan.primary, "is fenced: stopped for certain, and kept from coming back as a primary"),
        Effect(plan.candidate, "is promoted"),
        *stopped,
        *following,
    ]
    expected = [
        f"What only {plan.primary} has of the WAL is read from its disk, where that can be read, and replayed first.",
        "The gap that it left in the archive is closed.",
        PROOF,
    ]
    last = topology.find(plan.primary)
    living = [f"{plan.primary} lives and may take writes: they end with its fence."] if last and last.lives else []
    risks = [
        *living,
        *_held_back(plan, topology),
        f"If the WAL of {plan.primary} cannot be read: {plan.unread}",
        *_lost_slots(plan, topology),
    ]
    return affects, expected, risks


def _held_back(plan: Plan, topology: Topology) -> list[str]:
    candidate = topology.find(plan.candidate)
    if not candidate or not candidate.held_back:
        return []
    return [f"Replay on {plan.candidate} is held back by sessions there that read: they are ended, and named."]


def _lost_slots(plan: Plan, topology: Topology) -> list[str]:
    """The dead primary cannot be asked for its slots; the candidate says which it has."""
    candidate = topology.find(plan.candidate)
    if not candidate or not candidate.is_logical:
        return []
    there = ", ".join(slot.name for slot in ready(candidate.slots)) or "none"
    return [f"Of the logical slots of {plan.primary}, {plan.candidate} has {there}; any other is lost."]


def _recover(plan: Plan, _topology: Topology) -> Words:
    affects = [Effect(plan.candidate, "is started, replays what the archive has, and is promoted")]
    lost = f"What {plan.primary} wrote and did not archive is lost; how much is unknown."
    return affects, ["The new timeline is newer than any that the archive knows.", PROOF], [lost]


def _finish(plan: Plan, topology: Topology) -> Words:
    idle = [
        Effect(state.name, f"is made to follow {plan.candidate}")
        for state in topology.standbys
        if state.receiver is None or not state.receiver.streams
    ]
    return idle, ["The role does not move; what is missing after a hand-over is finished.", PROOF], []
