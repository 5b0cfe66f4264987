# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what it takes to make a host a standby of its cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.addition import Disk, Facts, addition
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import Cluster
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.plugin_utils._plan_action import OF_A_NODE, NodePlanAction


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


class ActionModule(NodePlanAction):
    """module_utils/_cluster/addition decides."""

    SPEC = {"argument_spec": OF_A_NODE | {"looked": {"type": "dict", "default": {}}}}  # noqa: RUF012

    def decide(self, options: dict[str, Any], cluster: Cluster, facts: dict[str, Any]) -> dict[str, Any]:
        node, reached = options["node"], options["reached"]
        disk = disk_of(options["looked"], reached["markers"].get(node), node in reached["removed"])
        found = addition(Facts(**facts, disk=disk, proxies=cluster.proxies))
        return {
            **self.shown(found.plan, options),
            "action": found.plan.action,
            "adds": found.adds,
            "completes": found.completes,
            "proxies": list(cluster.proxies),
            "peers": [peer.name for peer in cluster.nodes if peer.name != node],
            "repository": cluster.repository,
        }
