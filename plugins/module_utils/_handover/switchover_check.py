# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a planned hand-over may begin, as far as the backups are concerned: one that cannot end with a proof that
they work is not begun. What the servers themselves say is judged by ``switchover.obstacles``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._repository.away import Away


@dataclass(frozen=True)
class RepositoryState:
    """What the repository host says. ``running``: the backup that holds the stanza's lock, in words, or None."""

    running: str | None
    newest_timeline: int


@dataclass(frozen=True)
class SwitchoverRequest:
    """A hand-over from ``primary``, on ``timeline``, to ``candidate``; ``unreachable``: who else does not answer."""

    primary: str
    candidate: str
    timeline: int
    repository: str
    unreachable: Sequence[str] = ()
    force: bool = False

    @property
    def forced(self) -> str:
        return f"failover.yml -e candidate={self.candidate} -e force=true"


def risks(away: Sequence[Away]) -> list[str]:
    """What a repository of two that is away costs a hand-over."""
    return [
        f"{one.sentence} The role moves as quickly as ever; what follows takes minutes longer, since each attempt of "
        "the servers to archive tries it, too."
        for one in away
    ]


def refusal(request: SwitchoverRequest, repository: RepositoryState | None) -> str:
    """Why the hand-over must not begin; empty when it may. ``repository``: None when its host does not answer."""
    if request.force:
        return ""
    if repository is None:
        return (
            f"The repository host {request.repository} does not answer, so nobody could prove that backups go on after "
            f"the hand-over. Nothing was changed. Start it, then run this again; or hand over without it: "
            f"{request.forced}."
        )
    if repository.running is not None:
        return (
            f"A backup is running ({repository.running}) and a hand-over would break it. Nothing was changed. Run this "
            f"again when it has ended, or break it: {request.forced}."
        )
    # With everybody there, a newer timeline that nobody is on was abandoned: somebody kept the older of two primaries.
    if repository.newest_timeline > request.timeline and request.unreachable:
        return (
            f"The archive holds a newer timeline ({repository.newest_timeline}) than that of {request.primary} "
            f"({request.timeline}), so another node was promoted, maybe {' or '.join(request.unreachable)}, which "
            "does not answer. Nothing was changed. See status.yml; if that timeline is abandoned, run rejoin.yml first."
        )
    return ""


def reserves_timelines(request: SwitchoverRequest, repository: RepositoryState | None) -> bool:
    """Whether the candidate must first reserve the numbers of abandoned timelines. Forced, it asks the archive
    itself."""
    return request.force or (repository is not None and repository.newest_timeline > request.timeline)
