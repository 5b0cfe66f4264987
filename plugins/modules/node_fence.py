#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_fence
short_description: Stop a node from outside for good, or start it
version_added: 0.1.0
description:
  - Runs on the controller and needs nothing of the node itself. A container node (C(node_kind=docker)) is reached
    through the Docker engine; any other can only be stopped, by a command of yours.
  - Writes no fence marker; M(relevo.postgres.pg_fence) does, for a node that must not come back as a primary.
author:
  - The Relevo authors (@relevo)
requirements:
  - docker (Python package), for container nodes
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: Says whether anything would be changed. A fence command is not run.
  diff_mode:
    support: none
options:
  node:
    description: Inventory name of the node, also that of its container.
    type: str
    required: true
  state:
    description:
      - V(fenced) stops the node at once and fails unless it is proved to be stopped. Docker kills the container, also a
        paused one, and leaves it down under the restart policy C(unless-stopped).
      - V(removed) does the same, and leaves the marker that the node was removed from its cluster on the disk of a
        container. A machine gets it from M(relevo.postgres.node_retirement) while it answers.
      - V(started) starts the container.
    type: str
    choices: [fenced, removed, started]
    required: true
  requested_by:
    description: Who asked, for the marker.
    type: str
    default: ansible
  fence_command:
    description:
      - The command that stops a machine, as a list of arguments. Status 0 means that the machine is stopped and stays
        so. The variable C(RELEVO_NODE) of its environment is the node's name.
    type: list
    elements: str
    default: []
  fence_timeout:
    description: Seconds after which the fence command is ended.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Start a container node
  relevo.postgres.node_fence:
    node: postgres_slave
    state: started
"""

RETURN = r"""
evidence:
  description: Who says that the node is stopped.
  type: str
  returned: O(state=fenced) and O(state=removed), not in check mode
"""
