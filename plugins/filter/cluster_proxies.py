# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts with HAProxy in front of a cluster, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_proxies
short_description: The hosts with HAProxy in front of a cluster
version_added: 0.1.0
description:
  - Takes the names of hosts, as of the group C(haproxy), and returns those in front of a cluster. They are those
    whose C(node_cluster) it is, or else those without a C(node_cluster), which serve all.
author: The Relevo authors (@relevo)
positional: hostvars, cluster
options:
  _input:
    description: Names of hosts, usually those of the group C(haproxy).
    type: list
    elements: str
    required: true
  hostvars:
    description: The variable of that name.
    type: dict
    required: true
  cluster:
    description: The cluster.
    type: str
    default: main
"""

EXAMPLES = r"""
proxies: "{{ groups['haproxy'] | default([]) | relevo.postgres.cluster_proxies(hostvars, 'main') }}"
"""

RETURN = r"""
_value:
  description: The C(name) of each, and its C(address) as the nodes know it.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def cluster_proxies(
    names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], cluster: str = "main"
) -> list[dict[str, str]]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import address_of, all_serving

    return [
        {"name": name, "address": address_of(name, hostvars[name])} for name in all_serving(cluster, names, hostvars)
    ]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"cluster_proxies": cluster_proxies}
