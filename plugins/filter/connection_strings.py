# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How applications reach the clusters of an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: connection_strings
short_description: The connection strings of the clusters of an inventory
version_added: 0.1.0
description:
  - Returns, for each cluster, the connection strings for libpq, JDBC and psycopg with which an application reaches
    whichever node is primary. They name all nodes and hold no password.
  - Takes the first user of C(postgresql_users) that may log in over the network, and the first of
    C(postgresql_databases) that it owns, or otherwise the first of all.
author: The Relevo authors (@relevo)
positional: hostvars, groups
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
  groups:
    description: The variable of that name. With it, the strings through HAProxy are there too.
    type: dict
    default: {}
seealso:
  - plugin: relevo.postgres.how_to_connect
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say how applications connect
  relevo.postgres.report:
    text: "{{ groups['postgres'] | relevo.postgres.connection_strings(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Text for people.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def connection_strings(
    names: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster import connection
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import members_of

    clusters = members_of(names, hostvars)
    lines = []
    for cluster, hosts in clusters.items():
        found = connection.connection_strings(connection.target_of(hosts))
        lines.append(f"Connect to {cluster}:" if len(clusters) > 1 else connection.HEADING)
        lines += [f"  {line}" for line in found.lines] if found else []
        proxied = connection.through_proxy(hosts, groups or {}, hostvars)
        lines += proxied.lines if proxied else []
    return "\n".join(lines)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"connection_strings": connection_strings}
