# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what it takes to make a host a standby of its cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.addition import (
    Disk,
    Facts,
    addition,
    named,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


def disk_of(looked: dict[str, Any], marker: dict[str, Any] | None, removed: bool = False) -> Disk | None:
    """What ``pg_node_info`` says of the node, or of a container that is down its markers alone."""
    if "node" not in looked:
        return Disk(fence=Marker(**marker).describe(), removed=removed) if marker else None
    node = looked["node"]
    fence = node["fence"] or marker
    return Disk(
        node["system_identifier"] or "",
        Marker(**fence).describe() if fence else "",
        looked["refusal"],
        restoring=node["restore"] is not None,
        removed=node["removed"] is not None,
    )


class ActionModule(ControllerAction):
    """On the controller, which knows the inventory. Decides nothing itself: module_utils/_cluster/addition does."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "node": {"type": "str", "required": True},
            "reached": {"type": "dict"},
            "topology": {"type": "dict", "default": {}},
            "looked": {"type": "dict", "default": {}},
            "unfinished": {"type": "dict", "default": {}},
            "required": {"type": "bool", "default": True},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables = self._task_vars or {}
        cluster = clusters_of(variables["groups"], variables["hostvars"])[options["cluster"]]
        node, reached = options["node"], options["reached"]
        named(node, [peer.name for peer in cluster.nodes], cluster.name)
        if reached is None:
            return {"changed": False}
        # Where the repository host does not answer the task was skipped.
        answers = "nodes" in options["topology"]
        record = options["unfinished"].get("record")
        plan = addition(
            Facts(
                cluster.name,
                node,
                Topology.from_result(options["topology"]) if answers else Topology([]),
                cluster.repository,
                reached["states"],
                reached["unreachable_nodes"],
                disk_of(options["looked"], reached["markers"].get(node), node in reached["removed"]),
                Unfinished.from_dict(record).sentence if record else "",
            )
        )
        if plan.refusals and options["required"]:
            raise RelevoError(f"Nothing was changed. {' '.join(plan.refusals)}")
        return {
            "changed": False,
            "action": plan.action,
            "peers": [peer.name for peer in cluster.nodes if peer.name != node],
            "repository": cluster.repository,
            "operation_plan": plan.as_dict(),
            "text": plan.text,
        }
