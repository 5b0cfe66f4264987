# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new cluster may be made where no server takes writes.

Only when all who could hold an older one *say* that they hold nothing: every node's disk, and the repository. An empty
cluster beside data is found by the applications, and is the end of the data sooner or later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .._errors import RelevoError

#: ``found``: make a new cluster on the preferred primary. ``start``: it holds the cluster's data and only stands still.
Verdict = Literal["found", "start"]


@dataclass(frozen=True)
class Holding:
    """What a node's disk says. ``fenced`` is a node that a fence or rejoin marker keeps down."""

    initialised: bool = False
    standby: bool = False
    fenced: bool = False
    timeline: int = 0

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Holding:
        """From the ``node`` of ``pg_node_info``."""
        return cls(
            bool(node.get("initialised")),
            bool(node.get("standby")),
            bool(node.get("fence") or node.get("rejoin") or node.get("restore")),
            int(node.get("timeline") or 0),
        )

    @property
    def holds(self) -> bool:
        return self.initialised or self.fenced

    @property
    def words(self) -> str:
        if self.fenced:
            return "is fenced, half rejoined or half restored, and may hold the cluster's data"
        if not self.initialised:
            return "holds nothing"
        role = "as a standby" if self.standby else "and was primary when it stopped"
        return f"holds data on timeline {self.timeline} {role}"


@dataclass(frozen=True)
class RepositoryHolding:
    """What the repository says of the stanza. ``problem``: why its answer is not a whole one; empty when it is."""

    backups: Sequence[str] = ()
    archives: bool = False
    exists: bool = False
    problem: str = ""

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> RepositoryHolding:
        """From the result of ``pgbackrest_info``.

        With several repositories one that does not answer has not said that it is empty. The status of a stanza that
        is missing everywhere is 1; ``mixed`` and ``other`` have codes of their own.
        """
        raw = result.get("raw") or {}
        codes = {int((repo.get("status") or {}).get("code", 0)) for repo in raw.get("repo") or []}
        unclear = str(result.get("problem") or "") if codes - {0, 1, 2} else ""
        return cls(
            tuple(str(backup["label"]) for backup in result.get("backups") or []),
            any(entry.get("max") for entry in result.get("archive") or []),
            bool(result.get("exists")),
            unclear,
        )

    @classmethod
    def together(cls, found: Sequence[RepositoryHolding]) -> RepositoryHolding:
        """Of all repositories: a new cluster is made only where none of them holds anything."""
        return cls(
            tuple(sorted(label for one in found for label in one.backups)),
            any(one.archives for one in found),
            any(one.exists for one in found),
            next((one.problem for one in found if one.problem), ""),
        )

    @property
    def words(self) -> str:
        if self.backups:
            return f"the repository holds backups of it ({len(self.backups)}, the newest {self.backups[-1]})"
        if self.archives:
            return "the repository holds WAL of it"
        return "the repository has its stanza" if self.exists else "the repository holds nothing"


def decide(
    cluster: str,
    preferred: str,
    nodes: Mapping[str, Holding | None],
    repository: RepositoryHolding | None,
    new_cluster: bool = False,
) -> Verdict:
    """What to do where no server takes writes; raises ``RelevoError`` with who holds what, and what to run.

    ``nodes``: None for one that does not answer; ``repository`` likewise. ``new_cluster``: its owner gives up what the
    repository holds. What is on a node's disk nobody can give up in this way.
    """
    unreachable = [name for name, holding in nodes.items() if holding is None]
    holders = {name: holding for name, holding in nodes.items() if holding and holding.holds}
    if not holders:
        if unreachable:
            answer = f"{'does' if len(unreachable) == 1 else 'do'} not answer and may hold its data"
            raise _refusal(f"{_and(unreachable)} {answer}", f"Start {_and(unreachable)}", nodes)
        return _found(cluster, repository, new_cluster)
    own = holders.get(preferred)
    rivals = [name for name, holding in holders.items() if name != preferred and not holding.standby]
    if own and not own.standby and not own.fenced and not rivals and not unreachable:
        return "start"
    raise _refusal("No server of it takes writes", _way_out(preferred, nodes, holders, unreachable), nodes)


def _found(cluster: str, repository: RepositoryHolding | None, new_cluster: bool) -> Verdict:
    nothing = "No new cluster was made."
    if repository is None:
        raise RelevoError(
            f"No node holds data of the cluster {cluster}, but the repository host does not answer, and may hold its "
            f"backups. {nothing} Start the repository host, then run this again."
        )
    if repository.problem:
        raise RelevoError(
            f"No node holds data of the cluster {cluster}, and the repository could not say what it holds: "
            f"{repository.problem} {nothing}"
        )
    if repository.exists and not new_cluster:
        raise RelevoError(
            f"No node holds data of the cluster {cluster}, but {repository.words}. {nothing} The nodes are prepared. "
            f"To get the data back: ansible-playbook playbooks/restore.yml -e cluster={cluster} -e to=cluster "
            f"-e target_type=latest -e confirm={cluster}, then site.yml again. To begin anew and give up what the "
            f"repository holds of the old cluster: site.yml -e new_cluster={cluster}."
        )
    return "found"


def _way_out(
    preferred: str, nodes: Mapping[str, Holding | None], holders: Mapping[str, Holding], unreachable: list[str]
) -> str:
    if unreachable:
        return f"Start {_and(unreachable)}"
    stopped = [name for name, holding in holders.items() if not holding.standby and not holding.fenced]
    if len(stopped) > 1:
        return (
            f"{_and(stopped)} were both primary when they stopped: start the server of the one on the newest timeline, "
            "if its start guard allows it"
        )
    if stopped:
        return f"Start the server of {stopped[0]}"
    standbys = [name for name, holding in holders.items() if holding.standby and not holding.fenced]
    if standbys:
        remade = "" if preferred in holders else f"; {preferred} is then made anew by rejoin.yml"
        return f"Start the servers of {_and(standbys)}, if they do not run, and promote one with failover.yml{remade}"
    return f"See status.yml, and bring {_and(list(holders))} back with rejoin.yml or failover.yml"


def _refusal(why: str, way_out: str, nodes: Mapping[str, Holding | None]) -> RelevoError:
    words = {name: holding.words if holding else "does not answer" for name, holding in nodes.items()}
    listed = "; ".join(f"{name} {said}" for name, said in words.items())
    return RelevoError(f"{why}. {listed}. No new cluster was made, and nobody was promoted. {way_out}.")


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
