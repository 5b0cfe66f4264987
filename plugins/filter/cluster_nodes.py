# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of one cluster, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_nodes
short_description: The servers of one cluster, in the shape that the modules take
version_added: 0.1.0
description:
  - Takes the names of hosts and returns those of one cluster as a list of C(name), C(host), C(port).
author: The Relevo authors (@relevo)
positional: hostvars, cluster_name
options:
  _input:
    description: Names of hosts, usually those of the group C(postgres).
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable of that name.
    type: dict
    required: true
  cluster_name:
    description: The cluster; hosts without a C(cluster_name) of their own belong to V(main).
    type: str
    default: main
"""

EXAMPLES = r"""
nodes: "{{ groups['postgres'] | relevo.postgres.cluster_nodes(hostvars, 'main') }}"
"""

RETURN = r"""
_value:
  description: A list of C({name, host, port}), in the order of the inventory.
  type: list
  elements: dict
"""


from collections.abc import Callable, Iterable, Mapping
from typing import Any


def cluster_nodes(
    names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], cluster_name: str = "main"
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    # Ansible puts a host's variables together anew each time that it is asked for them, in 20 ms.
    hosts = {name: hostvars[name] for name in names}
    return [
        {"name": name, "host": host.get("node_address", name), "port": int(host.get("node_port", 5432))}
        for name, host in hosts.items()
        if host.get("cluster_name", "main") == cluster_name
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cluster_nodes": cluster_nodes}
