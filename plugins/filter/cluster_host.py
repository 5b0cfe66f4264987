# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of a group that serves a cluster, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_host
short_description: The host of a group that serves a cluster
version_added: 0.1.0
description:
  - Takes the names of hosts, as of the group C(pgbackrest), and returns the one that serves a cluster. That is the one
    whose C(node_cluster) it is, or else the first without a C(node_cluster), which serves all.
author: The Relevo authors (@relevo)
positional: hostvars, cluster
options:
  _input:
    description: Names of hosts, usually those of the group C(pgbackrest) or C(redis).
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
repository: "{{ groups['pgbackrest'] | relevo.postgres.cluster_host(hostvars, 'main') }}"
"""

RETURN = r"""
_value:
  description: The name of the host; empty when none serves the cluster.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def cluster_host(names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], cluster: str = "main") -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import serving

    return serving(cluster, names, hostvars)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"cluster_host": cluster_host}
