#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_wait
short_description: Wait until a standby streams from its primary
version_added: 0.1.0
description:
  - Asks all servers of the cluster again and again until the node is a standby that streams, or one that makes its
    replay wait on purpose. Without O(node), until one server is primary, no hand-over is under way, no server is
    starting and every standby that answers streams. Changes nothing.
  - Runs on the host that the task is delegated to, which must see all of them.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Waits for nothing.
  diff_mode:
    support: N/A
    details: The module only reads.
options:
  node:
    description: The standby's inventory name.
    type: str
    default: ""
  nodes:
    description: The servers of the cluster, as M(relevo.postgres.pg_primary_facts) takes them.
    type: list
    elements: dict
    required: true
  unreachable:
    description: Nodes that are known not to answer, and why. They are not asked.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait.
    type: float
    default: 300
  required:
    description: Whether it is a failure that the time was not enough.
    type: bool
    default: true
seealso:
  - module: relevo.postgres.pg_primary_facts
"""

EXAMPLES = r"""
- name: Wait until it streams again
  relevo.postgres.pg_standby_wait:
    node: postgres_slave
    nodes:
      - name: postgres_master
      - name: postgres_slave
  delegate_to: pgbackrest
"""

RETURN = r"""
seconds:
  description: How long that took.
  returned: success
  type: float
fault:
  description: What was still missing at the end, in words; empty where nothing was.
  returned: success
  type: str
"""
