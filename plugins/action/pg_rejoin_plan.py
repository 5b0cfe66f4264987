# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what rejoin.yml is about to do."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.describe import describe_rejoin
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """On the controller; ``pg_rejoin`` in check mode has asked the nodes."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "topology": {"type": "dict", "required": True},
            "forecasts": {"type": "list", "elements": "dict", "default": []},
            "down": {"type": "dict", "default": {}},
            "cannot_start": {"type": "dict", "default": {}},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        forecasts = {result["item"]: result for result in options["forecasts"]}
        topology = Topology.from_result(options["topology"])
        plan = describe_rejoin(topology, options["cluster"], forecasts, options["down"], options["cannot_start"])
        return {"changed": False, "operation_plan": plan.as_dict()}
