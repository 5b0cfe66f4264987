# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``failover.yml`` and ``failback.yml`` have to do, decided from what the servers say.

A failover is a desired state: run again, it never moves the role back. Pure functions, so that every case is
a unit test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .._cluster.topology import NodeState, Topology
from .._errors import RelevoError
from .._server.lsn import format_lsn, parse_lsn, segment_name
from .._tables import format_bytes

Action = Literal["switchover", "promote", "recover", "finish"]


@dataclass(frozen=True)
class Plan:
    """``switchover``: ``primary`` lives and hands over to ``candidate``. ``promote``: ``primary`` (who had the role
    last, as far as is known) is dead, ``candidate`` takes over. ``recover``: ``candidate`` is down, and whoever
    had the role after it is lost; it returns from the archive first. ``finish``: ``candidate`` has the role already.
    ``timeline``: the newest that a ``switchover`` or a ``promote`` ends. ``unreachable``: who else does not answer.
    ``unread``: what a ``promote`` costs if the WAL of the dead primary cannot be read to its end. ``removed``: standbys
    that answer and are not counted in a ``promote``, since they were removed from the cluster."""

    action: Action
    candidate: str
    primary: str
    message: str
    timeline: int = 0
    salvage_from: str = ""
    unread: str = ""
    unreachable: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class NobodyAnswers(RelevoError):
    """No server of the cluster answers, so there is nobody to promote."""


class LivingPrimary(RelevoError):
    """The last primary gives us no session, but lives: nobody is promoted beside it. ``starting``: that may pass.

    ``how_far``: a sentence on its recovery. ``successor``: whether anybody could take the role from it.
    """

    def __init__(self, state: NodeState, how_far: str = "", successor: bool = True) -> None:
        found = " ".join(filter(None, (state.hindrance, how_far)))
        way_out = (
            "To take the role from it all the same, fenced and with every check, add -e fence_living=true."
            if successor
            else f"{state.name} may be the primary or a standby, and no other node answers that could take over."
        )
        super().__init__(f"{found} Nobody was promoted; nothing was touched. {way_out}")
        self.state = state
        self.successor = successor
        self.starting = state.life == "starting"


def plan_failover(
    topology: Topology,
    preferred: str,
    candidate: str = "",
    force: bool = False,
    fence_living: bool = False,
    removed: Mapping[str, str] | None = None,
) -> Plan:
    """Move the role away from the preferred primary, or to ``candidate``.

    ``fence_living``: also from a primary that lives and gives us no session. ``force`` does not do that.
    ``removed``: why a standby is not promoted, by name, as its own disk has it; known in an emergency only.
    """
    if candidate and topology.find(candidate) is None:
        names = ", ".join(state.name for state in topology.states)
        raise RelevoError(f"There is no node {candidate} in this cluster. Nothing was touched; its nodes are {names}.")
    current = topology.primary
    if current is None:
        if not fence_living:
            _refuse_beside_the_living(topology, candidate, force)
        return _plan_emergency(topology, preferred, candidate, force, removed or {})
    if candidate:
        return _plan_move(topology, current, candidate)
    if current.name != preferred:
        return Plan(
            "finish",
            current.name,
            current.name,
            f"{current.name} is primary: the failover has been done. Name a candidate to move it again.",
        )
    standby = topology.best_candidate
    if standby is None:
        raise RelevoError(
            f"{current.name} is primary and no standby answers, so nobody can take over. Nothing was touched; "
            "see status.yml, and run rejoin.yml to bring the standbys back."
        )
    return _plan_move(topology, current, standby.name)


def _plan_move(topology: Topology, current: NodeState, candidate: str) -> Plan:
    if candidate == current.name:
        return Plan("finish", candidate, candidate, f"{candidate} is primary already.")
    chosen = topology.find(candidate)
    if chosen is None or not chosen.is_standby:
        reason = "there is no such node" if chosen is None else chosen.error or "it accepts writes"
        raise RelevoError(
            f"{candidate} is not a standby ({reason}). Nothing was touched; run rejoin.yml first, or name another "
            "candidate."
        )
    if chosen.delayed:
        raise RelevoError(
            f"{candidate} replays with a delay, on purpose (recovery_min_apply_delay), so it cannot take over from a "
            "living primary. Nothing was touched; set that to 0 there first, or name another candidate."
        )
    return Plan(
        "switchover",
        candidate,
        current.name,
        f"Hand over from {current.name} to {candidate}.",
        current.timeline,
        unreachable=_unreachable(topology),
    )


def _unreachable(topology: Topology, besides: str = "") -> list[str]:
    return [state.name for state in topology.unreachable if state.name != besides]


def _plan_emergency(
    everybody: Topology, preferred: str, candidate: str, force: bool, removed: Mapping[str, str]
) -> Plan:
    if candidate in removed:
        raise RelevoError(removed[candidate])
    # Had its removal come to its end, it would not be there to be ahead of anybody.
    topology = everybody.without(removed)
    best = topology.best_candidate
    chosen = topology.find(candidate) if candidate else best
    if candidate and force and chosen and not chosen.is_standby:
        return Plan(
            "recover",
            candidate,
            _lost_primary(topology, preferred, besides=candidate),
            f"Let {candidate} return from the archive, and promote it.",
        )
    if best is None and removed and not candidate:
        raise NobodyAnswers(f"No other node answers that could take over. {' '.join(removed.values())}")
    if best is None or chosen is None:
        raise NobodyAnswers(
            "No node of the cluster answers, neither as a primary nor as a standby. Nothing was touched; "
            "start a node (see status.yml), then run this again. If the last primary is lost for good, the one before "
            "it returns with failover.yml -e candidate=NODE -e force=true."
        )
    if not chosen.is_standby:
        raise RelevoError(
            f"{candidate} is not a standby ({chosen.error}). Nothing was touched; {best.name} could be promoted."
        )
    if chosen.history < best.history and not force:
        raise RelevoError(
            f"{best.name} is ahead of {candidate} ({_where(best)} against {_where(chosen)}). Nothing was touched; name "
            f"{best.name}, or lose what only it has with force=true."
        )
    lost = _lost_primary(topology, preferred)
    passed_by = [state for state in everybody.standbys if state.name in removed]
    return Plan(
        "promote",
        chosen.name,
        lost,
        f"Promote {chosen.name}{_late(chosen)}.",
        chosen.timeline,
        # The segment of the last byte that the candidate has replayed: from there on the dead primary may be ahead.
        # The byte after it may be the first of a segment that nobody has begun.
        segment_name(chosen.timeline, max(0, parse_lsn(chosen.replay_lsn or "0/0") - 1)),
        _unread(topology, chosen, lost, passed_by),
        _unreachable(topology, besides=lost),
        [state.name for state in passed_by],
    )


def _late(chosen: NodeState) -> str:
    """What takes this standby time first; empty where nothing does."""
    if chosen.delayed:
        return ", which replays with a delay, on purpose: it first replays all that it has received"
    if chosen.replay_paused:
        return ", whose replay is paused: that ends, and it first replays all that it has received"
    return ""


def _where(state: NodeState) -> str:
    return f"timeline {state.timeline}, {format_lsn(state.position)}"


def _unread(topology: Topology, chosen: NodeState, lost: str, removed: list[NodeState]) -> str:
    """What is lost with WAL of the dead primary that nobody can read."""
    return " ".join([_unsent(topology, chosen, lost), *_ahead(topology, chosen), *_of_removed(removed, chosen)])


def _of_removed(removed: list[NodeState], chosen: NodeState) -> list[str]:
    return [
        f"{state.name}, which was removed from the cluster, has {format_bytes(state.position - chosen.position)} more "
        f"than {chosen.name}."
        for state in removed
        if state.timeline == chosen.timeline and state.position > chosen.position
    ]


def _ahead(topology: Topology, chosen: NodeState) -> list[str]:
    """The standbys that are passed over since they lag on purpose, although they have received more."""
    return [
        f"{state.name}, which replays with a delay, has {format_bytes(state.position - chosen.position)} more than "
        f"{chosen.name}; to keep that, name it as the candidate."
        for state in topology.standbys
        if state.delayed and state.timeline == chosen.timeline and state.position > chosen.position
    ]


def _unsent(topology: Topology, chosen: NodeState, lost: str) -> str:
    if not chosen.synchronous.vouches_for(lost, chosen.timeline):
        return "What it had written and not sent is lost; how much is unknown."
    # Any one standby sufficed: it need not have been one of those that answer.
    others = _unreachable(topology, besides=lost)
    exceptions = [f"only {' or '.join(others)}, which does not answer, had them"] if others else []
    exceptions.append(f"that was turned off while {chosen.name} was away")
    return (
        f"Its commits waited for a synchronous standby, so those that clients saw acknowledged are on {chosen.name}, "
        f"unless {', or '.join(exceptions)}."
    )


def _refuse_beside_the_living(topology: Topology, candidate: str, force: bool) -> None:
    """Raise for a server that may be primary, lives, and gives us no session.

    Where the standbys say whom they followed, no other can be meant, unless it says itself that it is primary: then a
    hand-over to it was cut off. One that is to return from the archive must be down, too.
    """
    followed = _followed(topology, topology.unreachable)
    suspects = [
        state
        for state in topology.unreachable
        if not followed or state.says_primary or state.name in (followed, candidate)
    ]
    for state in suspects:
        if state.lives:
            raise LivingPrimary(state, successor=bool(topology.standbys or (candidate and force)))


def _followed(topology: Topology, unreachable: list[NodeState]) -> str:
    """Whom of these the standbys were told to follow; empty where they do not say."""
    for standby in topology.standbys:
        for state in unreachable:
            if standby.follows in (state.node.host, state.name):
                return state.name
    return ""


def _lost_primary(topology: Topology, preferred: str, besides: str = "") -> str:
    """Who had the role last: the standbys' settings say whom they followed; otherwise the node that does not answer."""
    unreachable = [state for state in topology.unreachable if state.name != besides]
    followed = _followed(topology, unreachable)
    if followed:
        return followed
    names = [state.name for state in unreachable]
    return preferred if preferred in names or not names else names[0]


def refuse_without_connection(plan: Plan, no_connection: Mapping[str, str]) -> None:
    """Raise where the plan has work for a node whose server answers, but whose machine does not answer the controller.

    ``no_connection``: why it does not, by the node's name.
    """
    workers = {"switchover": [plan.primary, plan.candidate], "promote": [plan.candidate], "finish": [plan.candidate]}
    for name in workers.get(plan.action, []):
        if name in no_connection:
            other = "" if name == plan.primary else ", or name another candidate"
            raise RelevoError(
                f"The server of {name} answers, but the controller cannot reach the machine ({no_connection[name]}). "
                f"Nobody was promoted; nothing was touched. Restore that connection{other}, then run this again."
            )


def plan_failback(topology: Topology, preferred: str) -> Plan:
    """Return the role to the preferred primary, which must be a standby by now."""
    current = topology.primary
    if current is None and topology.living:
        raise RelevoError(f"{topology.hindrances} Nothing was touched.")
    if current is None:
        raise RelevoError(
            "No primary answers, so there is nothing to hand back. Nothing was touched; run failover.yml "
            f"-e candidate={preferred} when {preferred} is a standby, or failover.yml alone to promote the best one."
        )
    return _plan_move(topology, current, preferred)
