# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until all servers of a cluster let a node in with the secrets that it has, and every standby streams."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.rotation import server_faults
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

INTERVAL = 0.5


class ActionModule(ControllerAction):
    """Asks by ``pg_primary_facts``, on the node that the task is delegated to."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "not_answering": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 60},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        faults: list[str] = []
        started = time.monotonic()

        def whole() -> bool:
            asked = self.module("relevo.postgres.pg_primary_facts", {"nodes": options["nodes"], "require": "nothing"})
            faults[:] = server_faults(Topology.from_result(asked), not_answering=options["not_answering"])
            return not faults

        def what() -> str:
            return (
                f"every server to let us in with what the nodes have now: {' '.join(faults).rstrip('.')}. Nothing is "
                "lost: run rotate.yml again when that is put right"
            )

        # A standby knows a new password once it has replayed it.
        wait_until(
            whole,
            what,
            options["timeout"],
            INTERVAL,
        )
        return {"changed": False, "seconds": round(time.monotonic() - started, 1)}
