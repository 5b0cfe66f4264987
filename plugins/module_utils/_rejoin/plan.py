# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node becomes a standby of the primary: decided from what both say, without touching either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .._cluster.topology import OwnPace
from .._errors import RelevoError
from .._recovery_window import is_recoverable, of_system
from .._server.lsn import Fork, parse_lsn
from .._server.peer import Peer
from .._server.server import HALF_RECOVERED

Method = Literal["clean", "rewind", "restore", "basebackup"]
Role = Literal["down", "standby", "starting", "primary"]

#: Beyond every position: a timeline that the primary itself is on ends nowhere.
ENDLESS = 1 << 64


@dataclass(frozen=True)
class Request:
    """What the caller wants; ``timeout`` counts seconds without progress, ``copy_timeout`` those of one copy.

    ``siblings`` are the names of the cluster's nodes, whose slots a standby has no use for. ``required``: whether it
    is a failure that this node cannot reach the primary, or was removed from its cluster. ``readmit``: whether it is
    added again after that.
    """

    node: str
    primary: Peer
    stanza: str = "main"
    repository: bool = True
    method: Literal["auto", "clean", "rewind", "restore", "basebackup"] = "auto"
    demote: bool = False
    discard_unarchived: bool = False
    timeout: float = 60.0
    copy_timeout: float = 6 * 3600.0
    siblings: tuple[str, ...] = ()
    required: bool = True
    readmit: bool = False

    def validate(self) -> None:
        """Raise ``RelevoError`` for what cannot be wanted."""
        if self.node == self.primary.name:
            raise RelevoError(f"{self.node} cannot follow itself. Name the primary that it is to follow.")


class CutOff(RelevoError):
    """This node cannot reach the primary."""


class Removed(RelevoError):
    """This node belongs to its cluster no more."""


@dataclass(frozen=True)
class Source:
    """The primary: its cluster, its timeline and that timeline's ancestors."""

    system_identifier: str
    timeline: int
    history: tuple[Fork, ...] = ()

    @property
    def timelines(self) -> set[int]:
        return {self.timeline, *(fork.timeline for fork in self.history)}

    def shared(self, timeline: int, forks: tuple[Fork, ...] = ()) -> int:
        """How far ``timeline`` of a node with the ancestors ``forks`` is part of this history; 0: not at all."""
        ends = {fork.timeline: fork.end for fork in self.history}
        # Two servers can have given the same number to different timelines, promoted without knowing of each other.
        if any(ends.get(fork.timeline) != fork.end for fork in forks):
            return 0
        return ENDLESS if timeline == self.timeline else ends.get(timeline, 0)


@dataclass(frozen=True)
class Situation:
    """This node. ``end`` is how far its history reaches for certain: of a primary the start of its last checkpoint,
    of a standby what it has received and replayed. ``cut_off`` names the method of a rejoin that did not end.
    ``own_pace``: why a running standby makes its replay wait, where somebody wants that."""

    role: Role = "down"
    initialised: bool = True
    system_identifier: str = ""
    state: str = ""
    timeline: int = 0
    end: int = 0
    forks: tuple[Fork, ...] = ()
    standby_signal: bool = False
    backup_label: bool = False
    cut_off: str = ""
    streams: bool = False
    configured: bool = False
    own_pace: OwnPace = ""

    @property
    def follows(self) -> bool:
        """Whether there is nothing to do: it streams, or will once it has replayed what it has at its own pace."""
        return self.configured and (self.streams or bool(self.own_pace))

    def describe(self) -> str:
        if not self.initialised:
            return "no data"
        if self.role == "down":
            return f"down, timeline {self.timeline}, {self.state or 'incomplete'}"
        return "standby that follows" if self.follows else f"{self.role}, timeline {self.timeline}"


@dataclass(frozen=True)
class Plan:
    """``follow``: point the running standby at the primary. ``methods``: to be tried in order on the stopped node,
    if following is not asked for or did not work. Both empty: there is nothing to do."""

    reason: str
    follow: bool = False
    fence: bool = False
    methods: tuple[Method, ...] = ()

    @property
    def first(self) -> str:
        return "follow" if self.follow else self.methods[0] if self.methods else "none"


def shares_all(situation: Situation, source: Source) -> bool:
    """Whether a stopped node can simply be started as a standby: all of its history is the primary's as well."""
    shared = source.shared(situation.timeline, situation.forks)
    if situation.state == "shut down":
        # A primary that ended cleanly. Its checkpoint's record must lie before the fork, not only begin there; and a
        # primary that ended on the very timeline of this one wrote what the other never saw.
        return situation.timeline != source.timeline and situation.end < shared
    if situation.state in ("shut down in recovery", "in archive recovery"):
        return situation.end <= shared
    # A finished copy that was never started: its control file is the one of the server that it was copied from.
    return situation.standby_signal and situation.backup_label


def methods_when_stopped(request: Request, situation: Situation, source: Source) -> tuple[Method, ...]:
    """The methods to try in order, cheapest first."""
    foreign = bool(situation.system_identifier) and situation.system_identifier != source.system_identifier
    copies: tuple[Method, ...] = ("restore", "basebackup") if request.repository else ("basebackup",)
    known = situation.initialised and bool(situation.state) and not situation.cut_off and not foreign
    possible: list[Method] = []
    if known and shares_all(situation, source):
        possible.append("clean")
    # On equal numbers pg_rewind says that there is nothing to do, also when the timelines differ. A server that was
    # stopped in its recovery it takes for a clean one, and would not see what that recovery had written by then.
    if known and situation.timeline != source.timeline and situation.state != HALF_RECOVERED:
        possible.append("rewind")
    if not situation.initialised or situation.cut_off == "basebackup":
        # A new node is cloned: the repository, if there is one by now, holds older data.
        possible.append("basebackup")
    else:
        possible += copies
    if request.method == "auto":
        return tuple(possible)
    if request.method in ("clean", "rewind") and request.method not in possible:
        raise RelevoError(
            f"{request.node} cannot become a standby by the method {request.method}: {_why_not(situation, source)}. "
            "Nothing was changed; use the method auto."
        )
    if request.method == "restore" and not request.repository:
        raise RelevoError("The method restore needs a repository. Nothing was changed; use another method.")
    return (request.method,)


def _why_not(situation: Situation, source: Source) -> str:
    if not situation.initialised:
        return "it has no data"
    if situation.cut_off:
        return f"its data was being overwritten ({situation.cut_off}) when that was cut off"
    if situation.state == HALF_RECOVERED:
        return "it was stopped in the middle of its recovery from a crash"
    if situation.timeline == source.timeline:
        return f"it wrote on timeline {source.timeline} itself"
    return f"its timeline {situation.timeline} goes on beyond the point where the primary's history leaves it"


def backup_to_restore(entry: Mapping[str, Any], source: Source) -> str:
    """The label of the newest backup that leads to the primary; ``entry``: the stanza's one of ``info``.

    The newest of all may be of a timeline that a restore in place has left, or of the cluster's predecessor. Raises
    ``RelevoError`` where none leads to it.
    """

    def leads_to_primary(backup: Mapping[str, Any]) -> bool:
        return parse_lsn(backup["lsn"]["stop"]) <= source.shared(int(backup["archive"]["stop"][:8], 16))

    backups = entry.get("backup") or []
    of_this = of_system(backups, entry.get("db") or [], source.system_identifier)
    found = [backup for backup in of_this if is_recoverable(backup) and leads_to_primary(backup)]
    if found:
        return str(max(found, key=lambda backup: int(backup["timestamp"]["stop"]))["label"])
    raise RelevoError(
        f"No backup leads to the primary's timeline {source.timeline}: the repository has {len(backups)}, each "
        "incomplete, of another cluster, or of a timeline after the primary's history had left it. "
        "Run backup.yml -e day=1, or use the method basebackup."
    )


def decide(request: Request, situation: Situation, source: Source) -> Plan:
    """What is to be done. Raises ``RelevoError`` where nothing may be."""
    node, primary = request.node, request.primary.name
    foreign = bool(situation.system_identifier) and situation.system_identifier != source.system_identifier
    if foreign and request.method != "basebackup":
        raise RelevoError(
            f"{node} holds the data of another cluster (system identifier {situation.system_identifier}, that of "
            f"{primary} is {source.system_identifier}). Nothing was changed. Check the inventory; to overwrite that "
            "data for good use the method basebackup."
        )
    if situation.role == "primary":
        if not request.demote:
            raise RelevoError(
                f"Two primaries: {node} takes writes on timeline {situation.timeline}, {primary} on timeline "
                f"{source.timeline}. Nothing was changed. Stop the one whose writes you can lose, then run rejoin.yml; "
                "with demote=true pg_rejoin stops and fences this one."
            )
        return Plan(
            f"{node} is demoted: {primary} is primary",
            fence=True,
            methods=methods_when_stopped(request, _once_stopped(situation), source),
        )
    shared = source.shared(situation.timeline, situation.forks)
    can_follow = situation.role == "starting" or (situation.role == "standby" and situation.end <= shared)
    # One that streams has been taken for a descendant by the primary itself.
    if situation.follows and request.method == "auto" and (situation.streams or (can_follow and not foreign)):
        return Plan(f"{node} follows {primary}")
    if request.method == "auto" and not foreign and can_follow:
        return Plan(f"{node} runs as a standby and does not follow {primary}", follow=True)
    reason = "has no data" if not situation.initialised else "is down" if situation.role == "down" else "has diverged"
    return Plan(f"{node} {reason}", methods=methods_when_stopped(request, _once_stopped(situation), source))


def _once_stopped(situation: Situation) -> Situation:
    """What to expect of a running server after its stop: for the forecast only, the stop is observed again."""
    if situation.role == "down":
        return situation
    state = "shut down" if situation.role == "primary" else "shut down in recovery"
    values = {**situation.__dict__, "state": state, "role": "down"}
    return Situation(**values)
