# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``add_node.yml`` and ``remove_node.yml`` know of a cluster and of the one node of it that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._errors import RelevoError
from .topology import NodeState, Topology


def named(node: str, nodes: Sequence[str], cluster: str) -> None:
    """Raise ``RelevoError`` unless a node of the cluster, which has ``nodes`` in the inventory, was named."""
    has = f"{cluster} has {', '.join(nodes)} in the inventory"
    if not node:
        raise RelevoError(f"No node was named, and {has}. Nothing was touched. Name one: -e node=NAME.")
    if node not in nodes:
        raise RelevoError(
            f"There is no node {node}: {has}. Nothing was touched. Correct the name, or put the host into the group "
            f"postgres with node_cluster {cluster}."
        )


@dataclass(frozen=True)
class NodeFacts:
    """``topology``: of all nodes of the inventory, that of the node included. ``repository``: the repository host.

    ``containers``: what the engine says of each host that is a container, by name. ``unreachable``: why a host does not
    answer, by name. ``unfinished``: the sentence about a restore in place that is not finished. ``second``: the one
    about a second repository that is in the way of a new configuration of the repository host.
    """

    cluster: str
    node: str
    topology: Topology
    repository: str
    containers: Mapping[str, str] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)
    unfinished: str = ""
    second: str = ""

    @property
    def others(self) -> Topology:
        """The cluster without it."""
        return Topology([state for state in self.topology.states if state.name != self.node])

    @property
    def state(self) -> NodeState | None:
        return self.topology.find(self.node)

    def why(self, name: str) -> str:
        """Why a host does not answer, as part of a sentence."""
        return self.unreachable[name].rstrip(".")
