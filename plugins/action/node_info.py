# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes answer, and what the disks of the containers that are down say."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import Node
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.reachability import reachability
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


def marker_of(node: Node) -> dict[str, Any] | None:
    """The fence marker on a node's disk. One that cannot be read forbids a start like any other."""
    text = node.read_marker()
    return None if text is None else asdict(Marker.from_json("fence", text))


class ActionModule(ControllerAction):
    """On the controller, where the engine is and the connections begin."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "nodes": {"type": "list", "elements": "str", "required": True},
            "markers": {"type": "bool", "default": False},
            "require_any": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        names = options["nodes"]
        # Ansible puts a host's variables together anew each time that it is asked for them.
        hosts = {name: self._task_vars["hostvars"][name] for name in names}
        is_container = {name: _offline_nodes.kind_of(hosts[name]) == _offline_nodes.DOCKER for name in names}
        containers = _offline_nodes.containers([name for name in names if is_container[name]])
        machines = {
            name: _machines.asker(name, hosts[name], self._play_context) for name in names if not is_container[name]
        }
        states = {name: node.state() for name, node in containers.items()}
        found = reachability(names, states, _machines.ask_all(machines))
        if options["require_any"]:
            found.require_any()
        result = {
            "changed": False,
            "states": found.states,
            "answering": found.answering,
            "down": found.down,
            "unreachable_nodes": found.unreachable,
        }
        if options["markers"]:
            # A container that was removed has no disk that anybody could name.
            stopped = [name for name, state in states.items() if state == "stopped"]
            markers = {name: marker_of(containers[name]) for name in stopped}
            result["markers"] = {name: marker for name, marker in markers.items() if marker is not None}
        return result
