#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_addition_plan
short_description: Decide what it takes to make a host a standby of its cluster
version_added: 0.1.0
description:
  - Runs on the controller. Puts together what the inventory, M(relevo.postgres.node_info),
    M(relevo.postgres.pg_primary_facts), M(relevo.postgres.pg_node_info) and M(relevo.postgres.restore_record) say. Asks
    nobody, changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
  - relevo.postgres.plan
  - relevo.postgres.plan.node
options:
  looked:
    description: The result of M(relevo.postgres.pg_node_info) of the host. Empty where its container does not run.
    type: dict
    default: {}
seealso:
  - module: relevo.postgres.pg_rejoin
"""

EXAMPLES = r"""
- name: Decide
  relevo.postgres.node_addition_plan:
    cluster: main
    node: postgres_third
    reached: "{{ reached }}"
    topology: "{{ topology }}"
    looked: "{{ looked }}"
  register: planned
"""

RETURN = r"""
action:
  description:
    - V(add), or V(finish) where the host is part of the cluster already and a run that was cut off may have left
      something out. V(none) where there is nothing of that kind.
  returned: with O(reached)
  type: str
adds:
  description: Whether all of it is done, from the container to the peers.
  returned: with O(reached)
  type: bool
completes:
  description: Whether it streams, and only what comes after that is done.
  returned: with O(reached)
  type: bool
proxies:
  description: The hosts with HAProxy in front of the cluster, which are told of it.
  returned: with O(reached)
  type: list
  elements: str
peers:
  description: The other servers of the cluster.
  returned: with O(reached)
  type: list
  elements: str
repository:
  description: The repository host of the cluster.
  returned: with O(reached)
  type: str
operation_plan:
  description: The plan, in the shape that docs/reference/plan.md describes.
  returned: with O(reached)
  type: dict
  sample: {version: 1, operation: add_node, cluster: main, action: add, affects: []}
text:
  description: The plan for people.
  returned: with O(reached)
  type: str
"""
