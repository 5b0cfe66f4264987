# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules of a hand-over share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
"""

    NODES = r"""
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
