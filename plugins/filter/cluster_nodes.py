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
positional: hostvars, cluster
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
  cluster:
    description: The cluster; hosts without a C(node_cluster) of their own belong to V(main).
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

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def cluster_nodes(
    names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], cluster: str = "main"
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import peer_of, servers_of

    peers = [peer_of(name, hostvars[name]) for name in servers_of(cluster, names, hostvars)]
    return [{"name": peer.name, "host": peer.host, "port": peer.port} for peer in peers]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"cluster_nodes": cluster_nodes}
