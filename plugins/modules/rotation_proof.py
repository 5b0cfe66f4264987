#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rotation_proof
short_description: Wait until all servers let a node in with the secrets that it has
version_added: 0.1.0
description:
  - Asks all servers of a cluster over the network, with the passfile and the authority of the node that the task is
    delegated to, until every one answers, one is primary and every standby streams.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  nodes:
    description: All servers of the cluster, each with C(name), C(host) and C(port).
    type: list
    elements: dict
    required: true
  not_answering:
    description: The servers that do not answer and are not waited for. One of them may be the primary.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Wait until every server lets us in
  relevo.postgres.rotation_proof:
    nodes: "{{ groups['postgres'] | relevo.postgres.cluster_nodes(hostvars, 'main') }}"
  delegate_to: pgbackrest
"""

RETURN = r"""
seconds:
  description: How long that took.
  returned: success
  type: float
"""
