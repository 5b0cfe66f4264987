#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_initdb_check
short_description: Say whether a new cluster may be made, or refuse
version_added: 0.1.0
description:
  - For a cluster of which no server takes writes. A new one may be made only when every node and the repository say
    that they hold nothing of an older one. Who does not answer may hold something.
  - Otherwise it fails, with who holds what, and what to run. Changes nothing.
  - The task is delegated to the repository host.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  cluster:
    description: The cluster, which is also its stanza.
    type: str
    required: true
  preferred:
    description: The preferred primary, on which the cluster would be made.
    type: str
    required: true
  nodes:
    description:
      - The servers of the cluster by name, each with the C(node) of M(relevo.postgres.pg_node_info), or empty where it
        does not answer.
    type: dict
    required: true
  new_cluster:
    description: Make a new cluster although the repository holds backups or WAL of an older one, which are given up.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_initdb
"""

EXAMPLES = r"""
- name: Decide whether this is a new cluster
  relevo.postgres.pg_initdb_check:
    cluster: main
    preferred: postgres_master
    nodes:
      postgres_master: {initialised: false}
      postgres_slave: {initialised: false}
  delegate_to: pgbackrest
  register: founding
"""

RETURN = r"""
verdict:
  description:
    - V(found), a new cluster is to be made, or V(start), the preferred primary holds the data and only stands still.
  returned: success
  type: str
  sample: found
"""
