# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions have in common that decide about a cluster, or a node of it, by what others have found out."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import Cluster, clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.node_facts import named
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import in_the_way
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

#: The options of the documentation's fragments ``plan`` and ``plan.node``.
OF_A_CLUSTER: dict[str, dict[str, Any]] = {
    "cluster": {"type": "str", "required": True},
    "required": {"type": "bool", "default": True},
}
OF_A_NODE: dict[str, dict[str, Any]] = OF_A_CLUSTER | {
    "node": {"type": "str", "required": True},
    "reached": {"type": "dict"},
    "topology": {"type": "dict", "default": {}},
    "unfinished": {"type": "dict", "default": {}},
    "repositories": {"type": "dict", "default": {}},
}


class ClusterPlanAction(ControllerAction):
    """On the controller, which knows the inventory. Decides nothing itself: module_utils/_cluster does."""

    def clusters(self) -> dict[str, Cluster]:
        """All clusters of the inventory, by name."""
        variables = self._task_vars or {}
        return clusters_of(variables["groups"], variables["hostvars"])

    def second(self, found: dict[str, Any], host: str) -> str:
        """What of a second repository is in the way of a new configuration of its host, or nothing.

        ``found``: the result of ``pgbackrest_repositories_info``; without its data where the task was skipped.
        """
        if "repositories" not in found:
            return ""
        given = (self._task_vars or {})["hostvars"][host]
        kind = str(given.get("pgbackrest_repo2_type") or "")
        return in_the_way(kind, len(found["repositories"]), host, found.get("unmounted", ""))

    @staticmethod
    def shown(plan: OperationPlan, options: dict[str, Any], nothing: str = "Nothing was changed.") -> dict[str, Any]:
        """The plan's part of the result; raises ``RelevoError`` with what is refused, unless that is an answer."""
        if plan.refusals and options["required"]:
            raise RelevoError(f"{nothing} {' '.join(plan.refusals)}")
        return {"changed": False, "operation_plan": plan.as_dict(), "text": plan.text}


class NodePlanAction(ClusterPlanAction):
    """About one node of it."""

    @abstractmethod
    def decide(self, options: dict[str, Any], cluster: Cluster, facts: dict[str, Any]) -> dict[str, Any]:
        """The task's result. ``facts``: the fields of ``NodeFacts``."""

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        cluster = self.clusters()[options["cluster"]]
        node, reached = options["node"], options["reached"]
        named(node, [peer.name for peer in cluster.nodes], cluster.name)
        if reached is None:
            return {"changed": False}
        # Where the repository host does not answer the task was skipped.
        answers = "nodes" in options["topology"]
        record = options["unfinished"].get("record")
        facts = {
            "cluster": cluster.name,
            "node": node,
            "topology": Topology.from_result(options["topology"]) if answers else Topology([]),
            "repository": cluster.repository,
            "containers": reached["states"],
            "unreachable": reached["unreachable_nodes"],
            "unfinished": Unfinished.from_dict(record).sentence if record else "",
            "second": self.second(options["repositories"], cluster.repository),
        }
        return self.decide(options, cluster, facts)
