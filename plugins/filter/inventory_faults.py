# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory that shall describe clusters."""

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory_faults
short_description: Say what is wrong with an inventory
version_added: 0.1.0
description:
  - Looks for empty groups, for clusters without exactly one preferred primary, and for nodes without a service manager.
  - A play whose groups are empty would otherwise succeed over "no hosts matched".
author: The Relevo authors (@relevo)
positional: hostvars, required
options:
  _input:
    description: The variable C(groups).
    type: dict
    required: true
  hostvars:
    description: The variable of that name.
    type: dict
    required: true
  required:
    description: Groups that must have at least one host.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
faults: "{{ groups | relevo.postgres.inventory_faults(hostvars, ['postgres', 'pgbackrest']) }}"
"""

RETURN = r"""
_value:
  description: One sentence or two for each fault, with what to do. Empty when there is none.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries

SERVICE_MANAGERS = ("runit", "systemd")


def inventory_faults(
    groups: Mapping[str, list[str]], hostvars: Mapping[str, Mapping[str, Any]], required: list[str]
) -> list[str]:
    """See DOCUMENTATION."""
    empty = [group for group in required if not groups.get(group)]
    faults = [
        f'The inventory has no host in the group "{group}". Name an inventory that has the groups '
        f"{' and '.join(required)}, with -i; examples/hosts.example.yml shows one."
        for group in empty
    ]
    faults += [
        f'The cluster "{cluster}" has {len(preferred)} preferred primaries. '
        'Set node_preferred_primary: true on exactly one of its hosts in the group "postgres".'
        for cluster, preferred in preferred_primaries(groups.get("postgres", []), hostvars).items()
        if len(preferred) != 1
    ]
    faults += [
        f"{name} has no node_service_manager. Set it to runit (our container image) or systemd."
        for name in [*groups.get("postgres", []), *groups.get("pgbackrest", [])]
        if hostvars[name].get("node_service_manager") not in SERVICE_MANAGERS
    ]
    return faults


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"inventory_faults": inventory_faults}
