# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a node from outside for good, or start it."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import ensure_removed
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.plugin_utils import _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """On the controller, where the engine and the fence command are."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "node": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["fenced", "removed", "started"], "required": True},
            "requested_by": {"type": "str", "default": "ansible"},
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "fence_timeout": {"type": "int", "default": 60},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        name = options["node"]
        kind = _offline_nodes.kind_of(self._task_vars["hostvars"][name])
        node = _offline_nodes.offline_node_of(name, kind, options["fence_command"], options["fence_timeout"])
        if self._task.check_mode:
            wanted = ("running", "restarting") if options["state"] == "started" else ("stopped", "missing")
            return {"changed": node.state() not in wanted}
        if options["state"] == "started":
            return {"changed": node.start()}
        changed = node.fence()
        # The command that stops a machine proves it, too; it need not be run twice.
        proof = node.prove_stopped() if kind == _offline_nodes.DOCKER else None
        if proof and not proof.proved:
            raise RelevoError(f"{name} could not be proved to be stopped: {proof.evidence}.")
        if options["state"] == "removed" and kind == _offline_nodes.DOCKER and node.state() != "missing":
            marker = Marker.now("removed", node=name, by=options["requested_by"])
            changed |= ensure_removed(node, marker.to_json())
        return {"changed": changed, "evidence": proof.evidence if proof else "the fence command ended with status 0"}
