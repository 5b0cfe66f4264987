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
  - Looks for empty groups, for clusters without exactly one preferred primary, for nodes without a service manager,
    for names of which no replication slot of their own can be made, and for a C(postgresql_version) that cannot be.
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

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import default_version, version_fault
from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries
from ansible_collections.relevo.postgres.plugins.module_utils._names import MAX_SLOT_NAME, slot_name

VERSION = "postgresql_version"
SERVICE_MANAGERS = ("runit", "systemd")


def version_faults(cluster: str, versions: Mapping[str, str]) -> list[str]:
    """What is wrong with the major versions of the nodes of one cluster, by node."""
    faults = [f"{name}: {fault}" for name, version in versions.items() if (fault := version_fault(version))]
    if not faults and len(set(versions.values())) > 1:
        given = ", ".join(f"{version} on {name}" for name, version in versions.items())
        faults.append(f'The nodes of the cluster "{cluster}" have several {VERSION}s: {given}. Give all of them one.')
    return faults


def slot_faults(names: Iterable[str]) -> list[str]:
    """What keeps the nodes of one cluster from having a replication slot each."""
    by_slot: dict[str, list[str]] = {}
    for name in names:
        by_slot.setdefault(slot_name(name), []).append(name)
    faults = [
        f"The replication slots of {' and '.join(owners)} would have the same name, {slot}. Rename all but one of "
        "them: in a slot's name every character but a-z, 0-9 and _ becomes _."
        for slot, owners in by_slot.items()
        if len(owners) > 1
    ]
    faults += [
        f"The name {owners[0]} is too long for a replication slot. Give it at most {MAX_SLOT_NAME} characters."
        for slot, owners in by_slot.items()
        if len(slot) > MAX_SLOT_NAME
    ]
    return faults


def inventory_faults(
    groups: Mapping[str, list[str]], hostvars: Mapping[str, Mapping[str, Any]], required: list[str]
) -> list[str]:
    """See DOCUMENTATION."""
    servers = groups.get("postgres", [])
    nodes = [*servers, *groups.get("pgbackrest", [])]
    # Ansible puts a host's variables together anew each time that it is asked for them, in 20 ms.
    hosts = {name: hostvars[name] for name in nodes}
    preferred_by_cluster = preferred_primaries(servers, hosts)
    empty = [group for group in required if not groups.get(group)]
    faults = [
        f'The inventory has no host in the group "{group}". Name an inventory that has the groups '
        f"{' and '.join(required)}, with -i; examples/hosts.example.yml shows one."
        for group in empty
    ]
    faults += [
        f'The cluster "{cluster}" has {len(preferred)} preferred primaries. '
        'Set node_preferred_primary: true on exactly one of its hosts in the group "postgres".'
        for cluster, preferred in preferred_by_cluster.items()
        if len(preferred) != 1
    ]
    faults += [
        f"{name} has no node_service_manager. Set it to runit (our container image) or systemd."
        for name in nodes
        if hosts[name].get("node_service_manager") not in SERVICE_MANAGERS
    ]
    for cluster in preferred_by_cluster:
        names = [node["name"] for node in cluster_nodes(servers, hosts, cluster)]
        faults += slot_faults(names)
        faults += version_faults(cluster, {name: str(hosts[name].get(VERSION, default_version())) for name in names})
    return faults


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"inventory_faults": inventory_faults}
