#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fence_test
short_description: Whether machines could be fenced, asked without switching anything off
version_added: 0.1.0
description:
  - Runs O(check_command) on the controller, once for each machine, and says what it gave. It must end with 0 and print
    V(on) or V(off) as its last word. A machine that answers and is said to be off is another one than is meant.
  - Looks whether O(fence_command) is a program that the controller's user may run. It is not run.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: full
    details: O(check_command) is run in check mode, too, since it only asks.
  diff_mode:
    support: none
options:
  kinds:
    description: The nodes, each with its C(node_kind), as M(relevo.postgres.node_info) returns it.
    type: dict
    required: true
  answering:
    description: The nodes that answer over their own connection.
    type: list
    elements: str
    required: true
  fence_command:
    description: The command that stops a machine, as a list of arguments.
    type: list
    elements: str
    default: []
  check_command:
    description:
      - The command that asks for a machine's state, as a list of arguments. The variable C(RELEVO_NODE) of its
        environment is the node's name.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds after which O(check_command) is ended.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Ask for the state of each machine
  relevo.postgres.fence_test:
    kinds: {db1: ssh, db2: ssh}
    answering: [db1, db2]
    fence_command: [/usr/local/sbin/fence]
    check_command: [/usr/local/sbin/fence, status]
"""

RETURN = r"""
text:
  description: A line for each command and node; those with a problem begin with V(!).
  returned: success
  type: str
problems:
  description: The lines with a problem.
  returned: success
  type: list
  elements: str
findings:
  description: The same for programs, C(about), C(seen) and C(problem).
  returned: success
  type: list
  elements: dict
"""
