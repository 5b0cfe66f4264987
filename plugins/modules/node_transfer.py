#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_transfer
short_description: Carry files from one node to another
version_added: 0.1.0
description:
  - Carries files through the controller's memory, a piece at a time, over the connections of the two nodes. Neither
    needs a way to the other, and nothing is written on the controller.
  - The directory of the destination is emptied first, belongs to C(postgres), and nobody else reads it.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
options:
  source:
    description: Inventory name of the node that has the files.
    type: str
    required: true
  destination:
    description: Inventory name of the node that gets them.
    type: str
    required: true
  files:
    description: Paths on the source.
    type: list
    elements: str
    required: true
  directory:
    description: Where they go on the destination.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Carry an archive to the primary
  relevo.postgres.node_transfer:
    source: pgbackrest
    destination: postgres_master
    files: [/var/lib/postgresql/scratch/main_latest/whole.dump]
    directory: /var/lib/postgresql/restore
"""

RETURN = r"""
files:
  description: The paths on the destination.
  returned: success
  type: list
  elements: str
size:
  description: Bytes that were carried.
  returned: success
  type: int
"""
