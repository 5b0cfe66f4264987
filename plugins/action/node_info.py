# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes answer, and what the disks of the containers that are down say."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of, servers_of
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import Node, removed_text
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.reachability import reachability
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker, removed_words
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _membership, _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._early_question import EarlyQuestion


def marker_of(node: Node) -> dict[str, Any] | None:
    """The fence marker on a node's disk. One that cannot be read forbids a start like any other."""
    text = node.read_marker()
    return None if text is None else asdict(Marker.from_json("fence", text))


def removal_of(name: str, node: Node) -> dict[str, Any] | None:
    """The marker on a node's disk that it was removed from its cluster, with the sentence about it."""
    text = removed_text(node)
    if text is None:
        return None
    found = Marker.from_json("removed", text)
    return asdict(found) | {"sentence": removed_words(name, found)}


class ActionModule(ControllerAction):
    """On the controller, where the engine is and the connections begin."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "nodes": {"type": "list", "elements": "str"},
            "cluster": {"type": "str"},
            "markers": {"type": "bool", "default": False},
            "require_any": {"type": "bool", "default": False},
            "ask_servers": {"type": "bool", "default": False},
        },
        "required_one_of": [("nodes", "cluster")],
        "required_if": [("ask_servers", True, ("cluster",))],
        "mutually_exclusive": [("nodes", "cluster")],
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        groups, hostvars = self._task_vars["groups"], self._task_vars["hostvars"]
        servers = {group: groups.get(group, []) for group in ("postgres", "pgbackrest")}
        if options["cluster"]:
            # A name that is unknown is answered with all that there are.
            own = servers_of(options["cluster"], servers["postgres"], hostvars)
            servers["postgres"] = own or servers["postgres"]
        asked = options["nodes"] or [name for names in servers.values() for name in names]
        # Ansible puts a host's variables together anew, in 20 ms, each time that it is asked for them.
        hosts = {name: hostvars[name] for name in asked}
        result: dict[str, Any] = {"changed": False}
        if options["cluster"]:
            known = clusters_of(servers, hosts)
            if options["cluster"] not in known:
                raise RelevoError(f"There is no cluster {options['cluster']}. The inventory has {', '.join(known)}.")
            cluster = known[options["cluster"]]
            result |= {
                "nodes": [asdict(node) for node in cluster.nodes],
                "preferred": cluster.preferred[0],
                "repository": cluster.repository,
            }
            # The repository host first: it sees every node, and asks when it can.
            asked = [cluster.repository, *(node.name for node in cluster.nodes)]
        result["kinds"] = {name: _offline_nodes.kind_of(hosts[name]) for name in asked}
        containers = _offline_nodes.containers(
            [name for name in asked if result["kinds"][name] == _offline_nodes.DOCKER]
        )
        machines = {
            name: _machines.asker(name, hosts[name], self._play_context) for name in asked if name not in containers
        }
        states = {name: node.state() for name, node in containers.items()}
        early = None
        if options["ask_servers"]:
            observer = result["repository"]
            # The engine has answered; what the machines will say takes longer.
            down = reachability(asked, states, {}).down
            disks = {
                name: _membership.asker(name, hosts[name], self._play_context) for name in machines if name != observer
            }
            early = EarlyQuestion(observer, hosts[observer], self._play_context, result["nodes"], down, disks)
            machines = early.after(machines)
            if observer in containers and observer not in down:
                early.start()
        found = reachability(asked, states, _machines.ask_all(machines))
        if options["require_any"]:
            found.require_any()
        if early:
            result["servers"] = early.result()
        if options["markers"]:
            # A container that was removed has no disk that anybody could name.
            stopped = [name for name, state in states.items() if state == "stopped"]
            markers = {name: marker_of(containers[name]) for name in stopped}
            result["markers"] = {name: marker for name, marker in markers.items() if marker is not None}
            removed = {name: removal_of(name, containers[name]) for name in stopped}
            result["removed"] = {name: marker for name, marker in removed.items() if marker is not None}
        return result | {
            "states": found.states,
            "answering": found.answering,
            "down": found.down,
            "cannot_start": found.cannot_start,
            "unreachable_nodes": found.unreachable,
        }
