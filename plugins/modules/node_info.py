#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Find out which nodes answer, and whether those that are down are fenced
version_added: 0.1.0
description:
  - Runs on the controller. Asks the Docker engine about container nodes (C(node_kind=docker)), and asks every other
    node over the connection that the inventory names, all of them at once. A node that does not answer is a result,
    not a failure, and prints nothing.
  - A machine has 15 seconds to answer, and C(timeout) of the connection to accept it.
author:
  - The Relevo authors (@relevo)
requirements:
  - docker (Python package), for container nodes
attributes:
  action:
    description: Has an action plugin that runs on the controller.
    support: full
  check_mode:
    description: Can run in check mode; the module only looks.
    support: full
options:
  nodes:
    description: Inventory names of the nodes. That of a container is also the container's.
    type: list
    elements: str
    required: true
  markers:
    description: Read the fence markers from the volumes of the containers that are down.
    type: bool
    default: false
  require_any:
    description: Fail when none of the O(nodes) answers.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Find out who answers
  relevo.postgres.node_info:
    nodes: "{{ groups['postgres'] }}"
  register: found
"""

RETURN = r"""
answering:
  description: Names of the nodes that answer, in the order of O(nodes). A container answers when it runs.
  type: list
  elements: str
  returned: success
unreachable_nodes:
  description: The nodes that do not answer, each with the reason.
  type: dict
  returned: success
  sample: {db1: "Failed to connect to the host via ssh: Connection refused"}
down:
  description: The containers that do not run, each with what it is instead. Their servers need not be asked.
  type: dict
  returned: success
  sample: {postgres_slave: its container is stopped}
states:
  description: What the engine says about each container.
  type: dict
  returned: success
  sample: {postgres_master: running, postgres_slave: stopped}
markers:
  description: The fence markers of the containers that are down, as far as they have one.
  type: dict
  returned: O(markers=true)
"""
