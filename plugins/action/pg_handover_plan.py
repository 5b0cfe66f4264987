# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the servers who is primary, and decide what a failover or a failback has to do."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._handover.describe import (
    describe_failback,
    describe_failover,
)
from ansible_collections.relevo.postgres.plugins.module_utils._handover.plan import Plan, plan_failback, plan_failover
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
            "cluster": {"type": "str", "default": "main"},
            "describe": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["describe"]:
            question = self._question(options) | {"require": "nothing"}
            return self._describe(
                options, Topology.from_result(self.module("relevo.postgres.pg_primary_facts", question))
            )
        return {"changed": False, "plan": self._plan(options, self._topology(options)).as_dict()}

    def _question(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in ("nodes", "unreachable", "timeout")}

    def _topology(self, options: dict[str, Any]) -> Topology:
        question = self._question(options)
        answer = self.ask("_cluster.ask", question | PATHS)
        if answer is None:
            answer = self.module("relevo.postgres.pg_primary_facts", question | {"require": "any"})
        return Topology.from_result(answer)

    def _plan(self, options: dict[str, Any], topology: Topology) -> Plan:
        if options["operation"] == "failback":
            return plan_failback(topology, options["preferred"])
        return plan_failover(topology, options["preferred"], options["candidate"], options["force"])

    def _describe(self, options: dict[str, Any], topology: Topology) -> dict[str, Any]:
        preferred, cluster = options["preferred"], options["cluster"]
        if options["operation"] == "failback":
            shown = describe_failback(topology, cluster, preferred)
        else:
            shown = describe_failover(topology, cluster, preferred, options["candidate"], options["force"])
        result: dict[str, Any] = {"changed": False, "operation_plan": shown.as_dict()}
        target = topology.find(preferred)
        comes_back_first = options["operation"] == "failback" and not (target and target.reachable)
        if shown.action == "switchover" and not comes_back_first:
            # What a switchover is checked for is asked for next.
            result["plan"] = self._plan(options, topology).as_dict()
        return result
