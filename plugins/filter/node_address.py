# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the other nodes reach a node, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_address
short_description: How the other nodes reach a node
version_added: 0.1.0
description:
  - Takes the name of a host and returns its C(node_address), or its name where it has none.
author: The Relevo authors (@relevo)
positional: hostvars
options:
  _input:
    description: The name of a host.
    type: str
    required: true
  hostvars:
    description: The variable of that name.
    type: dict
    required: true
"""

EXAMPLES = r"""
host: "{{ groups['redis'] | first | relevo.postgres.node_address(hostvars) }}"
"""

RETURN = r"""
_value:
  description: A name or an address.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def node_address(name: str, hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import address_of

    return address_of(name, hostvars[name])


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"node_address": node_address}
