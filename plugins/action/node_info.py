# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes answer, and what the disks of the containers that are down say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries
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
            "nodes": {"type": "list", "elements": "str"},
            "cluster": {"type": "str"},
            "markers": {"type": "bool", "default": False},
            "require_any": {"type": "bool", "default": False},
        },
        "required_one_of": [("nodes", "cluster")],
        "mutually_exclusive": [("nodes", "cluster")],
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        groups, hostvars = self._task_vars["groups"], self._task_vars["hostvars"]
        members = groups.get("postgres", [])
        asked = options["nodes"] or [*groups["pgbackrest"][:1], *members]
        # Ansible puts a host's variables together anew, in 20 ms, each time that it is asked for them.
        hosts = {name: hostvars[name] for name in asked}
        result: dict[str, Any] = {"changed": False}
        if options["cluster"]:
            result |= cluster_of(options["cluster"], members, hosts) | {"repository": asked[0]}
            # The repository host first: it sees every node, and asks when it can.
            asked = [asked[0], *(node["name"] for node in result["nodes"])]
        result["kinds"] = {name: _offline_nodes.kind_of(hosts[name]) for name in asked}
        containers = _offline_nodes.containers(
            [name for name in asked if result["kinds"][name] == _offline_nodes.DOCKER]
        )
        machines = {
            name: _machines.asker(name, hosts[name], self._play_context) for name in asked if name not in containers
        }
        states = {name: node.state() for name, node in containers.items()}
        found = reachability(asked, states, _machines.ask_all(machines))
        if options["require_any"]:
            found.require_any()
        if options["markers"]:
            # A container that was removed has no disk that anybody could name.
            stopped = [name for name, state in states.items() if state == "stopped"]
            markers = {name: marker_of(containers[name]) for name in stopped}
            result["markers"] = {name: marker for name, marker in markers.items() if marker is not None}
        return result | {
            "states": found.states,
            "answering": found.answering,
            "down": found.down,
            "unreachable_nodes": found.unreachable,
        }


def cluster_of(cluster: str, members: Sequence[str], hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The servers of a cluster, as the modules take them, and which one is preferred as its primary."""
    postgres = {name: hosts[name] for name in members}
    return {
        "nodes": cluster_nodes(members, postgres, cluster),
        "preferred": preferred_primaries(members, postgres)[cluster][0],
    }
