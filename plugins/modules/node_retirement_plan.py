#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_retirement_plan
short_description: Decide what it takes to take a standby out of its cluster
version_added: 0.1.0
description:
  - Runs on the controller. Puts together what the inventory, M(relevo.postgres.node_info),
    M(relevo.postgres.pg_primary_facts), M(relevo.postgres.pg_scratch_info) and M(relevo.postgres.restore_record) say.
    Asks nobody, changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
  - relevo.postgres.plan
  - relevo.postgres.plan.node
options:
  confirm:
    description: The node's name, typed.
    type: str
    default: ""
  data:
    description: Whether its data go too, and with them its container.
    type: bool
    default: false
  last:
    description: Go on although no other standby streams.
    type: bool
    default: false
  force:
    description: Go on although a machine does not answer and nothing can prove that it is stopped.
    type: bool
    default: false
  consumers:
    description: Go on although others have replication slots on it, or are sent WAL by it, and its data go.
    type: bool
    default: false
  scratch:
    description: What was restored beside a cluster on the node, as M(relevo.postgres.pg_scratch_info) says there.
    type: list
    elements: dict
    default: []
  elsewhere:
    description: What the repository host has noted of that, of all hosts, as M(relevo.postgres.pg_scratch_info) says.
    type: list
    elements: dict
    default: []
  fence_command:
    description: The command that stops a machine, as a list of arguments.
    type: list
    elements: str
    default: []
seealso:
  - module: relevo.postgres.node_retirement
  - module: relevo.postgres.machine_removal
"""

EXAMPLES = r"""
- name: Decide
  relevo.postgres.node_retirement_plan:
    cluster: main
    node: postgres_third
    confirm: postgres_third
    reached: "{{ reached }}"
    topology: "{{ topology }}"
  register: planned
"""

RETURN = r"""
peers:
  description: The other servers that answer, which have to forget it.
  returned: with O(reached)
  type: list
  elements: str
servers:
  description: Those of them whose servers answer, which drop its slots.
  returned: with O(reached)
  type: list
  elements: str
primary:
  description: Who is primary; empty where nobody is.
  returned: with O(reached)
  type: str
repository:
  description: The repository host of the cluster.
  returned: with O(reached)
  type: str
synchronous:
  description: Whether a synchronous standby is wanted.
  returned: with O(reached)
  type: bool
asks_node:
  description: Whether the node answers and stops its server itself.
  returned: with O(reached)
  type: bool
fences:
  description: Whether it is stopped from outside.
  returned: with O(reached)
  type: bool
clears:
  description: Whether its data go.
  returned: with O(reached)
  type: bool
keeps:
  description: What its host goes on being, by the groups of the inventory.
  returned: with O(reached)
  type: list
  elements: str
keys:
  description: Whether its key and certificate go.
  returned: with O(reached)
  type: bool
left:
  description: What remains to be done, in sentences.
  returned: with O(reached)
  type: list
  elements: str
operation_plan:
  description: The plan, in the shape that docs/reference/plan.md describes.
  returned: with O(reached)
  type: dict
  sample: {version: 1, operation: remove_node, cluster: main, action: remove, affects: []}
text:
  description: The plan for people.
  returned: with O(reached)
  type: str
"""
