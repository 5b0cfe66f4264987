# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several clusters a play leaves out, since they cannot be worked on, and what goes on without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .._errors import RelevoError
from .._tables import plural

TOGETHER = (
    "This run replaces secrets that all clusters share, so none of them can be left out, and it ends here for all. "
    "Fix this first, or run it without secrets_replace and secrets_replace_public."
)


@dataclass(frozen=True)
class Apart:
    """``left_out``: the clusters that are, each with the reason. ``hosts``: those that only they need. ``kept``: the
    clusters of the inventory that the play does not work on, whose part of what hosts share stays as it is there."""

    left_out: dict[str, str]
    hosts: list[str]
    kept: list[str]


def only_theirs(needed: Mapping[str, Sequence[str]], left_out: Collection[str]) -> list[str]:
    """The hosts that no cluster needs but those that are left out; ``needed``: by cluster all that it needs."""
    others = {host for cluster, hosts in needed.items() if cluster not in left_out for host in hosts}
    theirs = (host for cluster, hosts in needed.items() if cluster in left_out for host in hosts)
    return [host for host in dict.fromkeys(theirs) if host not in others]


def all_fenced(servers: Mapping[str, Sequence[str]], fenced: Collection[str]) -> dict[str, str]:
    """Of each cluster without a server that is not fenced, what to do."""
    return {
        cluster: f"All nodes of the cluster {cluster} are fenced, so there is nothing to provision. Nothing else was "
        f"changed. See status.yml, and bring one back with failover.yml -e cluster={cluster} -e candidate=NODE "
        "-e force=true."
        for cluster, nodes in servers.items()
        if all(node in fenced for node in nodes)
    }


def refused_by_host(needed: Mapping[str, Sequence[str]], refusals: Mapping[str, str]) -> dict[str, str]:
    """What the hosts of each cluster say against working on it, with their names; ``refusals``: by host."""
    found = {}
    for cluster, hosts in needed.items():
        refusing = [host for host in hosts if refusals.get(host)]
        if refusing:
            said = dict.fromkeys(refusals[host] for host in refusing)
            found[cluster] = f"{', '.join(refusing)}: {' '.join(said)}"
    return found


def set_apart(
    needed: Mapping[str, Sequence[str]],
    all_clusters: Sequence[str],
    refused: Mapping[str, str],
    together: bool = False,
) -> Apart:
    """Who is left out of a play over the clusters of ``needed``; raises ``RelevoError`` when none would be left.

    ``refused``: by cluster why it cannot be worked on. ``together``: what this run does is for all or for none.
    """
    left_out = {cluster: refused[cluster] for cluster in needed if refused.get(cluster)}
    if left_out and len(left_out) == len(needed):
        said = set(left_out.values())
        raise RelevoError(said.pop() if len(said) == 1 else text(left_out, len(needed)), left_out=left_out)
    if left_out and together:
        raise RelevoError(f"{text(left_out, len(needed))}\n{TOGETHER}", left_out=left_out)
    worked_on = set(needed) - set(left_out)
    return Apart(
        left_out, only_theirs(needed, left_out), [cluster for cluster in all_clusters if cluster not in worked_on]
    )


def text(left_out: Mapping[str, str], clusters: int) -> str:
    """What a play over so many clusters ends with, a line for each that was left out; empty when none was."""
    if not left_out:
        return ""
    lines = [f"{cluster}: {' '.join(why.split())}" for cluster, why in left_out.items()]
    counted = f"Not provisioned: {len(left_out)} of {plural(clusters, 'cluster')}."
    rest = (
        ["What the hosts that it shares with others have for it was left as it is. Fix this, then run site.yml again."]
        if len(left_out) < clusters
        else []
    )
    return "\n".join([counted, *lines, *rest])
