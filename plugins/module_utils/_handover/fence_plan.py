# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is fenced before a standby is promoted, what counts as proof, and whether anybody may be promoted at all.

Pure functions over facts that were collected before, so that each row is a unit test. ``pg_fence`` carries it out:
``obstacle`` before anything is touched, then the fences, a record where ``needs_record``, and last ``refusal``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .._server.marker import Marker

#: ``engine``: the Docker engine kills the container and proves it. ``service``: the machine answers, so its service
#: manager stops the server, and its processes are the proof. ``command``: the user's own command does both.
Means = Literal["engine", "service", "command", "none"]


def means_of(kind: str, fence_command: Sequence[str], answers: bool) -> Means:
    """By what a node of this ``node_kind`` is fenced. ``answers``: over its connection, whatever its server does."""
    if kind == "docker":
        return "engine"
    if answers:
        return "service"
    return means_without_service(fence_command)


def means_without_service(fence_command: Sequence[str]) -> Means:
    """By what a machine is fenced that does not answer, or on which its service manager could not prove anything."""
    return "command" if fence_command else "none"


@dataclass(frozen=True)
class FenceRequest:
    """An emergency. ``means``: by what the old primary and the other ``unreachable`` nodes can be fenced, by name.

    ``timeline``: the one that the promotion ends. ``repository``: the repository host. ``record_possible``: whether it
    answers, so that a record can be left there. ``lost``: nodes whose disk is known to be gone (a container that was
    removed).
    """

    primary: str
    candidate: str
    timeline: int
    requested_by: str
    means: dict[str, Means]
    repository: str
    record_possible: bool
    unreachable: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    force: bool = False

    @property
    def marks_disk(self) -> bool:
        """Whether the marker can stand on the old primary's own disk, where it is read first."""
        return self.means[self.primary] in ("engine", "service") and self.primary not in self.lost

    def marker(self, node: str) -> Marker:
        """What keeps ``node`` from starting as a primary.

        Forced, the fenced node may be on a newer timeline than the candidate: its marker then holds for each timeline,
        until the node rejoins.
        """
        return Marker.now(
            "fence",
            node=node,
            by=self.requested_by,
            successor=self.candidate,
            timeline=0 if self.force else self.timeline,
            reason="emergency",
        )


@dataclass(frozen=True)
class Fenced:
    """What is known of a node after it was to be fenced.

    ``marked``: the marker stands on its disk. ``newer_timeline``: one that its disk knows and the candidate does not,
    or 0.
    """

    node: str
    proved: bool
    evidence: str
    marked: bool = False
    newer_timeline: int = 0


def obstacle(request: FenceRequest, no_record: str = "") -> str:
    """Why nobody could be promoted in the end, known before anything is touched; empty when nothing is in the way.

    ``no_record``: why a record could not be left, of a repository host that answers; asked if ``will_need_record``.
    """
    if request.force:
        return ""
    if request.means[request.primary] == "none":
        return (
            f"{request.primary} could not be proved to be stopped: the machine does not answer, and "
            "failover_fence_command is empty. Nobody was promoted; nothing was touched. Make it answer, or stop that "
            "machine, then run this again; with -e force=true you confirm that you have stopped it."
        )
    if not request.marks_disk and (no_record or not request.record_possible):
        return f"{_no_mark(request, no_record)} Nothing was touched."
    helpless = [name for name in request.unreachable if request.means[name] == "none"]
    if helpless:
        return (
            f"{helpless[0]} does not answer, and could not be proved to be stopped: failover_fence_command is empty. "
            f"It may have been promoted unseen. Nobody was promoted; nothing was touched. Start {helpless[0]} and run "
            "this again; or stop it, and lose what only it has with -e force=true."
        )
    return ""


def will_need_record(request: FenceRequest) -> bool:
    """Whether it is known before the fence that a record has to be left, and the repository host can be asked."""
    return not request.force and not request.marks_disk and request.record_possible


def beside_the_living(primary: str) -> str:
    """Why nobody is promoted beside an old primary that its own machine found alive, after all others had not."""
    return (
        f"{primary} answers on its own machine: it has come back, or nobody else reaches it. Nobody was promoted; "
        "nothing was touched. Run this again. To take the role from it all the same, fenced and with every check, add "
        "-e fence_living=true."
    )


def unread(primary: str, why: str) -> str:
    """Why nobody is promoted after the old primary, whose disk cannot be asked how far its history goes."""
    return (
        f"{primary} is stopped, and its disk does not say whether it had been promoted to a newer timeline ({why}). "
        "Nobody was promoted. Run this again; or lose what only it has with -e force=true."
    )


def needs_record(primary: Fenced) -> bool:
    """Whether the fence has to be recorded in the repository, because the old primary's own disk does not show it."""
    return not primary.marked


def archived_from(salvage_from: str, segments: Sequence[str], interrupted: bool) -> str:
    """The first segment that the candidate has to fetch from the archive; empty where it need fetch none.

    ``segments``: what was taken from the old primary's disk, beginning with ``salvage_from``; ``interrupted``: whether
    there may be more. A standby that was cut off may lack what the dead primary had archived. The disk, where it could
    be read to its end, has that too.
    """
    return "" if segments and not interrupted else salvage_from


def refusal(request: FenceRequest, primary: Fenced, others: Sequence[Fenced], no_record: str = "") -> str:
    """Why nobody may be promoted after all; empty when somebody may.

    ``others``: the other unreachable nodes. ``no_record``: why a record that was needed could not be left.
    """
    if request.force:
        return ""
    if not primary.proved:
        return (
            f"{primary.node} could not be proved to be stopped ({primary.evidence}). Nobody was promoted. Stop it, "
            "then run this again; with -e force=true you confirm that it is stopped."
        )
    if needs_record(primary) and (no_record or not request.record_possible):
        return _no_mark(request, no_record)
    for other in others:
        if not other.proved:
            return (
                f"{other.node} does not answer, and could not be proved to be stopped ({other.evidence}). Nobody was "
                f"promoted. {_restart_or_lose(other)}"
            )
        if other.newer_timeline:
            return (
                f"{other.node} does not answer, and was promoted to timeline {other.newer_timeline}, which "
                f"{request.candidate} does not know. Nobody was promoted. {_restart_or_lose(other)}"
            )
    return ""


def _restart_or_lose(other: Fenced) -> str:
    return f"Start {other.node} and run this again; or stop it, and lose what only it has with -e force=true."


def _no_mark(request: FenceRequest, no_record: str = "") -> str:
    """Why neither the disk nor the repository shows the fence, and what of it can be fixed.

    A container that is gone has no disk to be marked, a machine may answer again; and a repository host that is away is
    to be started, while one that answers has said itself what is wrong.
    """
    primary, repository = request.primary, request.repository
    if primary in request.lost:
        disk, ways = f"there is no container {primary} any more", []
    elif request.marks_disk:
        disk, ways = f"{primary} took no marker", [f"make the disk of {primary} writable"]
    else:
        disk = f"the machine {primary} does not answer"
        ways = [f"make {primary} answer, so that its own disk can be marked"]
    if not request.record_possible:
        record = f"the repository host {repository} does not answer"
        ways.insert(0, f"start {repository}")
    else:
        record = f"{repository} answers: {no_record.rstrip('.')}"
        ways = ways or [f"fix what {repository} says"]
    advice = ", or ".join(ways)
    return (
        f"Neither the disk of {primary} nor the repository on {repository} can be written to ({disk}; {record}), so "
        f"nothing would keep the old primary from coming back. Nobody was promoted. {advice[0].upper()}{advice[1:]}, "
        f"then run this again; or go on with -e force=true and make sure yourself that {primary} stays off."
    )
