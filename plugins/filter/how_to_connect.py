# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How people reach the databases that an inventory describes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: how_to_connect
short_description: How people reach the databases of an inventory
version_added: 0.1.0
description:
  - Says, for each cluster, with which command an application's user connects to whichever node is primary, and how a
    superuser logs in on a node.
  - Takes the first user of C(postgresql_users) that may log in over the network, and the first of
    C(postgresql_databases) that it owns, or otherwise the first of all.
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
- name: Say how to connect
  relevo.postgres.report:
    text: "{{ groups['postgres'] | relevo.postgres.how_to_connect(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Text for people.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Variables = Mapping[str, Any]


def entrances(hosts: Mapping[str, Variables]) -> list[tuple[str, int]]:
    """Address and port of each node from the outside; a container without a published port has none."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import entrance_of

    return [found for name, host in hosts.items() if (found := entrance_of(name, host))]


def from_outside(variables: Variables, where: Sequence[tuple[str, int]]) -> list[str]:
    """The lines about a login over the network."""
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster import connection

    secrets_dir, user = connection.secrets_directory(variables), connection.network_user(variables)
    if user is None:
        return [
            "No user can log in over the network yet. Name databases and users in postgresql_databases and "
            "postgresql_users, then run site.yml."
        ]
    if not where:
        return ["No port is published: give the nodes a node_published_port to connect from this machine."]
    secret = user.get("password_secret")
    in_file = secret and not user.get("password") and secret not in (variables.get("secrets_given") or {})
    database = connection.database_of(user["name"], variables.get("postgresql_databases", []))
    addresses, ports = (",".join(str(one[place]) for one in where) for place in (0, 1))
    return [
        "Connect, from this machine, to whichever node is primary:",
        "",
        f"  PGPASSWORD=$(cat {secrets_dir}/{secret}) psql \\" if in_file else "  psql \\",
        f'    "host={addresses} port={ports} \\',
        f"     user={user['name']} dbname={database} target_session_attrs=read-write \\",
        f'     sslmode=verify-full sslrootcert={connection.ca_file(variables)}"',
        "",
    ]


def on_a_node(node: str, variables: Variables) -> str:
    """The line about a login over a node's own socket, which needs no password."""
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import database_of
    from ansible_collections.relevo.postgres.plugins.module_utils._names import PORT

    database = database_of("", variables.get("postgresql_databases", []))
    target = "" if database == "postgres" else f" -d {database}"
    if int(variables.get("postgresql_port") or PORT) != PORT:
        target += f" -p {variables['postgresql_port']}"
    if variables.get("node_kind", "ssh") != "docker":
        return f"As a superuser, on {node}: sudo -u postgres psql{target}"
    return f"As a superuser, on a node: docker exec -it -u postgres {node} psql{target}"


def how_to_connect(names: Sequence[str], hostvars: Mapping[str, Variables]) -> str:
    """See DOCUMENTATION."""
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import members_of

    clusters = members_of(names, hostvars)
    lines: list[str] = []
    for cluster, hosts in clusters.items():
        first, variables = next(iter(hosts.items()))
        if len(clusters) > 1:
            lines += [f"Cluster {cluster}", ""]
        lines += from_outside(variables, entrances(hosts))
        lines += [on_a_node(first, variables), ""]
    return "\n".join(lines).rstrip()


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"how_to_connect": how_to_connect}
