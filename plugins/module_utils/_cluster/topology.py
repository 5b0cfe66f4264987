# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is primary, who follows whom: what may be concluded from the servers' answers (``probe`` asks them).

It goes out to Ansible as JSON (``as_dict``) and comes back as what it was (``from_result``), so that nobody has to work
on dictionaries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .. import _names
from .._errors import RelevoError
from .._server.lsn import parse_lsn
from .._server.peer import Life, Peer
from .answer import Archiver, Receiver, Sender, Slot, SynchronousState, moment, read

Role = Literal["primary", "standby", "unreachable"]
#: Why a standby makes its replay wait, because somebody wants that. It asks its primary for WAL only once it has
#: replayed what it has, so one that was told whom to follow may not stream for as long.
OwnPace = Literal["", "delayed", "paused"]
#: By what the startup process waits for (PostgreSQL's documentation, Wait Events).
_OWN_PACE: dict[str | None, OwnPace] = {"RecoveryApplyDelay": "delayed", "RecoveryPause": "paused"}

#: The same, of one that waits for sessions of its own; "relation" is what a lock is waited for on.
_HELD = ("RecoveryConflictSnapshot", "RecoveryConflictTablespace", "BufferPin", "relation")

#: What to do about a server that refuses us, by what it or libpq says. libpq speaks English (``_module``), a server the
#: language of its ``lc_messages``: names of files, roles and databases are the same in all of them.
CURES = {
    r" reaches it; ": "Look at the network, and at the names, between the two that do not agree.",
    r"too many clients|too many connections|connection slots|demasiad[oa]s (clientes|conexiones)|zu viele Verbindungen"
    r"|trop de (clients|connexions)": ("End sessions there, or raise max_connections (postgresql_parameters)."),
    r"password authentication failed": (
        "It has another password than the nodes. If rotate.yml was cut off, run it again: it goes on where it was, "
        "also without a server that has died meanwhile, the primary included. Otherwise something else than site.yml "
        "has changed that role there: undo it, or run site.yml when the server lets us in again."
    ),
    rf"pg_hba|password|role \"|database \"|log in|permission denied|authentication|{'|'.join(_names.OWN_ROLES)}|"
    rf"(?<!server at )[«»\u201e\u201c'\"]\s?{_names.OWN_DATABASE}\s?[«»\u201c\u201d'\"]": (
        "Something else than site.yml has changed pg_hba.conf, or the role or the database relevo, there: undo it, or "
        "run site.yml when the server lets us in again."
    ),
    r"error response during SSL exchange|fork|out of memory": (
        "It gets no process, or no memory, for a new session: look at its memory and at its limit of processes "
        "(TasksMax of its unit, pids of its container), and end what takes them."
    ),
    r"does not support SSL": (
        "Its ssl is off, which site.yml turns on: ALTER SYSTEM RESET ssl there, as its superuser, then "
        "SELECT pg_reload_conf()."
    ),
    r"SSL|certificate": "Look at its certificate in /etc/relevo/tls, which site.yml writes.",
}


def cure_of(life: Life, said: str) -> str:
    """What to do about a server that lives and gives us no session; ``said``: what it, or libpq, said."""
    if life == "starting":
        return "Wait until it has finished; its log says how far it is."
    return next((cure for pattern, cure in CURES.items() if re.search(pattern, said)), "See its log.")


class TopologyError(RelevoError):
    """The answers of the servers do not allow what was asked for; ``kind`` tells them apart."""

    def __init__(self, message: str, kind: str, **details: Any) -> None:
        super().__init__(message, kind=kind, **details)
        self.kind = kind


@dataclass(frozen=True)
class Lag:
    """How far a standby is behind: bytes not yet received or replayed, and seconds since its last replay.

    None means that it cannot be known, since no primary answers.
    """

    lag_bytes: int | None = None
    replay_lag_bytes: int | None = None
    lag_seconds: float | None = None


@dataclass
class NodeState:
    """What one server answered.

    ``data`` is the probe's object; ``error`` says why there is none, and ``life`` whether the server lives.
    ``says_primary``: one that gives us no session said so on its own machine.
    """

    node: Peer
    data: dict[str, Any] | None = None
    error: str | None = None
    seconds: float = 0.0
    life: Life = "none"
    says_primary: bool = False

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def reachable(self) -> bool:
        return self.data is not None

    @property
    def lives(self) -> bool:
        """Whether the server gave any answer at all, be it an error."""
        return self.reachable or self.life != "none"

    @property
    def hindrance(self) -> str:
        """A sentence on a server that lives and gives us no session: what it said, and the cure."""
        said = (self.error or "no reason given").removeprefix(f"{self.name}: ").rstrip(".")
        if self.life == "starting":
            what = "lives: it is starting, stopping or recovering"
        else:
            what = "lives and answers, but not to us"
        return f"{self.name} {what} ({said}). {cure_of(self.life, said)}"

    @property
    def is_primary(self) -> bool:
        return self.data is not None and not self.data["in_recovery"]

    @property
    def is_standby(self) -> bool:
        return self.data is not None and bool(self.data["in_recovery"])

    @property
    def role(self) -> Role:
        return "primary" if self.is_primary else "standby" if self.is_standby else "unreachable"

    @property
    def timeline(self) -> int:
        return int(self._answer("timeline") or 0)

    @property
    def system_identifier(self) -> str | None:
        return self._text("system_identifier")

    @property
    def started(self) -> str | None:
        return self._text("started")

    @property
    def current_lsn(self) -> str | None:
        return self._text("current_lsn")

    @property
    def receive_lsn(self) -> str | None:
        return self._text("receive_lsn")

    @property
    def replay_lsn(self) -> str | None:
        return self._text("replay_lsn")

    @property
    def position(self) -> int:
        """How far this server's history reaches, in bytes.

        ``pg_last_wal_receive_lsn`` is null before streaming starts and aligned to a segment after a restart, so a
        standby's is the greater of what it received and what it replayed.
        """
        known = (self.current_lsn, self.receive_lsn, self.replay_lsn)
        return max((parse_lsn(lsn) for lsn in known if lsn), default=0)

    @property
    def history(self) -> tuple[int, int]:
        """What servers are compared by: a newer timeline counts more than a further position."""
        return self.timeline, self.position

    @property
    def replay_paused(self) -> bool:
        return bool(self._answer("replay_paused"))

    @property
    def own_pace(self) -> OwnPace:
        return _OWN_PACE.get(self._text("replay_waits"), "")

    @property
    def held_back(self) -> bool:
        """Whether the replay of this standby waits for sessions that read what it would remove."""
        return self._text("replay_waits") in _HELD

    @property
    def follows(self) -> str | None:
        """The host that a standby was told to follow, also when no receiver runs."""
        return self._text("follows")

    @property
    def receiver(self) -> Receiver | None:
        given = self._answer("receiver")
        return read(Receiver, given) if given else None

    @property
    def senders(self) -> list[Sender]:
        return [read(Sender, given) for given in self._answer("senders") or []]

    @property
    def slots(self) -> list[Slot]:
        return [read(Slot, given) for given in self._answer("slots") or []]

    @property
    def free_slots(self) -> int | None:
        """How many replication slots can still be made; None where it does not say."""
        return self._free("max_slots", len(self.slots))

    @property
    def free_senders(self) -> int | None:
        """How many more can be sent WAL, a copy of its data included; None where it does not say."""
        return self._free("max_senders", len(self.senders))

    @property
    def is_logical(self) -> bool:
        """Whether this server can have logical slots."""
        return bool(self._answer("wal_level") == "logical")

    @property
    def delayed(self) -> bool:
        """Whether this standby replays later than it receives, on purpose."""
        return bool(self._answer("apply_delay_ms"))

    @property
    def archiver(self) -> Archiver:
        return read(Archiver, self._answer("archiver"))

    @property
    def synchronous(self) -> SynchronousState:
        return read(SynchronousState, self._answer("synchronous"))

    @property
    def blocked(self) -> bool:
        """Whether a primary requires a synchronous standby while none streams, so that it acknowledges no commit."""
        return bool(self.synchronous.names) and not any(sender.counts for sender in self.senders)

    def has_not_read(self, written: str | None) -> bool:
        """Whether it has last read its configuration before this moment, when its files were written."""
        read_at, written_at = moment(self._text("configuration_loaded") or ""), moment(written or "")
        return read_at is not None and written_at is not None and read_at < written_at

    @property
    def pending_restart(self) -> list[str]:
        """The settings that wait for a restart."""
        return list(self._answer("pending_restart") or [])

    @property
    def handover_lock(self) -> str | None:
        """Who holds the lock of a hand-over."""
        return self._text("handover_lock")

    def _answer(self, key: str) -> Any:
        return (self.data or {}).get(key)

    def _free(self, limit: str, used: int) -> int | None:
        given = self._answer(limit)
        return None if given is None else int(given) - used

    def _text(self, key: str) -> str | None:
        given = self._answer(key)
        return None if given is None else str(given)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.node.name,
            "host": self.node.host,
            "port": self.node.port,
            "reachable": self.reachable,
            "error": self.error,
            "answer": "full" if self.reachable else self.life,
            "role": self.role,
            **(self.data or {}),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> NodeState:
        """The reverse of ``as_dict``."""
        own = cls(Peer.from_dict(given)).as_dict().keys() | asdict(Lag()).keys()
        data = {key: value for key, value in given.items() if key not in own}
        if given["reachable"]:
            return cls(Peer.from_dict(given), data)
        return cls(Peer.from_dict(given), None, given["error"], life=given.get("answer", "none"))


@dataclass
class Topology:
    """The cluster as its servers describe it."""

    states: list[NodeState]
    primaries: list[NodeState] = field(init=False)

    def __post_init__(self) -> None:
        self.primaries = [state for state in self.states if state.is_primary]

    @property
    def primary(self) -> NodeState | None:
        return self.primaries[0] if len(self.primaries) == 1 else None

    @property
    def standbys(self) -> list[NodeState]:
        return [state for state in self.states if state.is_standby]

    @property
    def unreachable(self) -> list[NodeState]:
        return [state for state in self.states if not state.reachable]

    @property
    def living(self) -> list[NodeState]:
        """The servers that answer, but not to us."""
        return [state for state in self.unreachable if state.lives]

    @property
    def hindrances(self) -> str:
        """What keeps each of them from answering us, and the cures; empty when there is none."""
        return " ".join(state.hindrance for state in self.living)

    def find(self, name: str) -> NodeState | None:
        return next((state for state in self.states if state.name == name), None)

    def without(self, names: Collection[str]) -> Topology:
        """The same without these nodes."""
        return Topology([state for state in self.states if state.name not in names])

    def require_primary(self) -> NodeState:
        """The one primary, or the error that says why there is not exactly one."""
        if len(self.primaries) > 1:
            names = " and ".join(state.name for state in self.primaries)
            identifiers = {state.system_identifier for state in self.primaries}
            if len(identifiers) > 1:
                raise TopologyError(
                    f"{names} are primaries of different clusters (their system identifiers differ). "
                    "Check the inventory: one of these nodes belongs to another cluster.",
                    "foreign_primary",
                )
            newest = max(self.primaries, key=lambda state: state.timeline)
            ahead = all(state.timeline < newest.timeline for state in self.primaries if state is not newest)
            # What was promoted last is in the archive already: an older timeline would neither be let start again nor
            # be handed over.
            advice = f", rather not {newest.name}, whose timeline {newest.timeline} is the newest" if ahead else ""
            raise TopologyError(
                f"Two primaries: {names} take writes. Nothing was changed. Stop the one whose writes you can lose"
                f"{advice}; then run rejoin.yml.",
                "two_primaries",
            )
        if not self.states:
            raise TopologyError(
                "No host of the inventory belongs to this cluster. Nothing was touched. Check the cluster's name "
                "(node_cluster of the hosts in the group postgres).",
                "no_nodes",
            )
        if not self.primaries and self.living:
            raise TopologyError(f"No primary lets us in. {self.hindrances}", "living_primary")
        if not self.primaries:
            reasons = "; ".join(state.error or f"{state.name} is a standby" for state in self.states)
            raise TopologyError(
                f"No primary answers ({reasons}). Start the primary, or run failover.yml to promote a standby.",
                "no_primary",
            )
        return self.primaries[0]

    @property
    def most_advanced(self) -> NodeState | None:
        """The standby with the longest history; the inventory's order breaks a tie."""
        return max(self.standbys, key=lambda state: state.history, default=None)

    @property
    def best_candidate(self) -> NodeState | None:
        """Whom to promote: the most advanced of those on the newest timeline that replay what they receive at once.

        One that is delayed on purpose only where no other is left: it would first replay for as long as it lags.
        """
        newest = max((state.timeline for state in self.standbys), default=0)
        prompt = [state for state in self.standbys if state.timeline == newest and not state.delayed]
        return max(prompt, key=lambda state: state.history, default=self.most_advanced)

    @property
    def newest_timeline(self) -> int:
        """The newest that any server is on; 0 when nobody answers."""
        return max((state.timeline for state in self.states), default=0)

    def lag(self, standby: NodeState) -> Lag:
        """How far a standby is behind the primary."""
        primary = self.primary
        if primary is None or not standby.reachable:
            return Lag()
        replayed = parse_lsn(standby.replay_lsn) if standby.replay_lsn else 0
        behind = max(0, primary.position - replayed)
        return Lag(
            max(0, primary.position - standby.position),
            behind,
            # An idle primary writes nothing that could be replayed: the age of the last transaction is no lag then.
            0.0 if behind == 0 else (standby.data or {}).get("last_replay_age_s"),
        )

    def as_dict(self) -> dict[str, Any]:
        """The shape that ``pg_primary_facts`` returns."""
        primary = self.primary
        return {
            "primary": primary.as_dict() if primary else None,
            "primaries": [state.name for state in self.primaries],
            "standbys": [state.as_dict() | asdict(self.lag(state)) for state in self.standbys],
            "unreachable_nodes": [{"name": state.name, "error": state.error} for state in self.unreachable],
            "nodes": {
                state.name: state.as_dict() | (asdict(self.lag(state)) if state.is_standby else {})
                for state in self.states
            },
            "system_identifier": next((s.system_identifier for s in self.primaries + self.standbys), None),
        }

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Topology:
        """The reverse of ``as_dict``, from the result of ``pg_primary_facts``."""
        return cls([NodeState.from_dict(given) for given in result["nodes"].values()])
