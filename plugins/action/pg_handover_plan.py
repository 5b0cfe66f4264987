# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the servers who is primary, and decide what a failover or a failback has to do."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._handover.plan import plan_failback, plan_failover
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import nodes_spec
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

#: Where every node has what it logs in with at its peers.
PATHS = {name: option["default"] for name, option in nodes_spec().items() if name in ("passfile", "ca_file")}


class ActionModule(ControllerAction):
    """``pg_primary_facts`` asks, on the node that the task is delegated to; module_utils/_handover decides, here."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "unreachable": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 4},
            "preferred": {"type": "str", "required": True},
            "operation": {"type": "str", "choices": ["failover", "failback"], "required": True},
            "candidate": {"type": "str", "default": ""},
            "force": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        topology = self._topology(options)
        preferred = options["preferred"]
        if options["operation"] == "failback":
            plan = plan_failback(topology, preferred)
        else:
            plan = plan_failover(topology, preferred, options["candidate"], options["force"])
        return {"changed": False, "plan": plan.as_dict()}

    def _topology(self, options: dict[str, Any]) -> Topology:
        question = {name: options[name] for name in ("nodes", "unreachable", "timeout")}
        answer = self.ask("_cluster.ask", question | PATHS)
        if answer is None:
            answer = self.module("relevo.postgres.pg_primary_facts", question | {"require": "any"})
        return Topology.from_result(answer)
