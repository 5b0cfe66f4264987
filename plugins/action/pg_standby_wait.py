# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a standby that was started streams from its primary again, or until all servers have settled."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.minor_upgrade import not_back, unsettled
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

INTERVAL = 0.5


class ActionModule(ControllerAction):
    """Asks by ``pg_primary_facts``, on the node that the task is delegated to."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "node": {"type": "str", "default": ""},
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "unreachable": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 300},
            "required": {"type": "bool", "default": True},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        node, started = options["node"], time.monotonic()
        if self._task.check_mode:
            return {"changed": False, "seconds": 0.0, "fault": ""}
        fault = ""
        question = {"nodes": options["nodes"], "unreachable": options["unreachable"], "require": "nothing"}

        def streams() -> bool:
            nonlocal fault
            topology = Topology.from_result(self.module("relevo.postgres.pg_primary_facts", question))
            fault = not_back(topology, node) if node else unsettled(topology)
            return not fault

        def what() -> str:
            return f"{node} to stream again ({fault})" if node else f"the servers to settle ({fault})"

        try:
            wait_until(streams, what, options["timeout"], INTERVAL)
        except RelevoError:
            if options["required"]:
                raise
        return {"changed": False, "seconds": round(time.monotonic() - started, 1), "fault": fault}
