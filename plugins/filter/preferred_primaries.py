# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preferred primaries of the clusters, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: preferred_primaries
short_description: The preferred primaries of each cluster
version_added: 0.1.0
description:
  - Takes the names of hosts and returns, by cluster, those with C(node_preferred_primary).
author: The Relevo authors (@relevo)
positional: hostvars
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
"""

EXAMPLES = r"""
preferred: "{{ (groups['postgres'] | relevo.postgres.preferred_primaries(hostvars))['main'] | first }}"
"""

RETURN = r"""
_value:
  description: Lists of names by cluster. A well-formed inventory has one name in each.
  type: dict
"""


from collections.abc import Callable, Mapping, Sequence
from typing import Any


def preferred_primaries(names: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import clusters_of

    return {name: cluster.preferred for name, cluster in clusters_of({"postgres": names}, hostvars).items()}


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"preferred_primaries": preferred_primaries}
