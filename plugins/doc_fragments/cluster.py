# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that ask or change PostgreSQL share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
"""

    # The server on which a module runs.
    NODE = r"""
options:
  node:
    description: The inventory name of the node on which the module runs.
    type: str
    required: true
"""

    SERVICE_MANAGER = r"""
options:
  service_manager:
    description: What keeps PostgreSQL running on the node, as the inventory's C(node_service_manager) says.
    type: str
    choices: [runit, systemd]
    required: true
"""

    PSYCOPG = r"""
options: {}
requirements:
  - libpq 5 (Debian package libpq5), or psycopg >= 3.1 where the system has no libpq, on the host that runs the module
"""

    # All servers of a cluster.
    NODES = r"""
attributes:
  action_group:
    description: Use C(group/relevo.postgres.postgresql) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - relevo.postgres.postgresql
options:
  nodes:
    description:
      - The servers of the cluster, as they see each other.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's inventory name.
        type: str
        required: true
      host:
        description: The name or address under which the other nodes reach it. The node's name when omitted.
        type: str
      port:
        description: The port of PostgreSQL at O(nodes[].host).
        type: int
        default: 5432
  timeout:
    description:
      - Seconds for each question to a server. All servers are asked at once.
    type: float
    default: 4
  passfile:
    description:
      - The libpq password file of the node on which the module runs, with the passwords of the collection's own roles.
    type: path
    default: /etc/relevo/pgpass
  ca_file:
    description:
      - The authority that signed the servers' certificates. They are verified in full.
    type: path
    default: /etc/relevo/tls/ca.crt
"""
