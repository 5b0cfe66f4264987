# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what it takes to take a standby out of its cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.addition import named
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.retirement import Facts, Request, retirement
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """On the controller, which knows the inventory. Decides nothing itself: module_utils/_cluster/retirement does."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "node": {"type": "str", "required": True},
            "confirm": {"type": "str", "default": ""},
            "data": {"type": "bool", "default": False},
            "last": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "reached": {"type": "dict"},
            "topology": {"type": "dict", "default": {}},
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
        record = options["unfinished"].get("record")
        found = retirement(
            Request(options["confirm"], options["data"], options["last"], options["force"]),
            Facts(
                cluster.name,
                node,
                # Where the repository host does not answer the task was skipped.
                Topology.from_result(options["topology"]) if "nodes" in options["topology"] else Topology([]),
                cluster.repository,
                node in cluster.preferred,
                reached["states"],
                reached["unreachable_nodes"],
                bool(options["fence_command"]),
                Unfinished.from_dict(record).sentence if record else "",
            ),
        )
        if found.plan.refusals and options["required"]:
            raise RelevoError(f"Nothing was changed. {' '.join(found.plan.refusals)}")
        primary = options["topology"].get("primary") or {}
        return {
            "changed": False,
            "peers": found.peers,
            "servers": found.servers,
            "primary": primary.get("name", ""),
            "repository": cluster.repository,
            "synchronous": bool((primary.get("synchronous") or {}).get("wanted")),
            "asks_node": found.asks_node,
            "fences": found.fences,
            "clears": found.clears,
            "left": found.left,
            "operation_plan": found.plan.as_dict(),
            "text": found.plan.text,
        }
