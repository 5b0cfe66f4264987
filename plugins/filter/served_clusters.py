# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters that a repository host serves, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: served_clusters
short_description: The clusters that a repository host serves
version_added: 0.1.0
description:
  - Takes the name of a host of the group C(pgbackrest) and returns the names of the clusters whose repository is there.
author: The Relevo authors (@relevo)
positional: groups, hostvars
options:
  _input:
    description: The name of the host.
    type: str
    required: true
  groups:
    description: The variable of that name.
    type: dict
    required: true
  hostvars:
    description: The variable of that name.
    type: dict
    required: true
"""

EXAMPLES = r"""
stanzas: "{{ inventory_hostname | relevo.postgres.served_clusters(groups, hostvars) }}"
"""

RETURN = r"""
_value:
  description: Names of clusters, in the order in which the inventory names them.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def served_clusters(
    name: str, groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of

    return [cluster.name for cluster in clusters_of(groups, hostvars).values() if cluster.repository == name]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"served_clusters": served_clusters}
