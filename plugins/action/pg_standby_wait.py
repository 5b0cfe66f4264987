# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a standby that was started streams from its primary again."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.minor_upgrade import not_back
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

INTERVAL = 0.5


class ActionModule(ControllerAction):
    """Asks by ``pg_primary_facts``, on the node that the task is delegated to."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "node": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "float", "default": 300},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        node, started = options["node"], time.monotonic()
        if self._task.check_mode:
            return {"changed": False, "seconds": 0.0}
        fault = ""

        def streams() -> bool:
            nonlocal fault
            asked = self.module("relevo.postgres.pg_primary_facts", {"nodes": options["nodes"], "require": "nothing"})
            fault = not_back(Topology.from_result(asked), node)
            return not fault

        wait_until(streams, lambda: f"{node} to stream again ({fault})", options["timeout"], INTERVAL)
        return {"changed": False, "seconds": round(time.monotonic() - started, 1)}
