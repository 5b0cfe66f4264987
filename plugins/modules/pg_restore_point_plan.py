#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_point_plan
short_description: Decide whether a named restore point can be made
version_added: 0.1.0
description:
  - Refuses a name that cannot be one, or that exists. Runs on the controller and changes nothing.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  name:
    description: The restore point's name.
    type: str
    default: ""
  cluster:
    description: The cluster.
    type: str
    required: true
  primary:
    description: The name of its primary.
    type: str
    required: true
  repository:
    description: The name of the repository host.
    type: str
    required: true
  backups:
    description: The backups as M(relevo.postgres.pgbackrest_info) returns them.
    type: list
    elements: dict
    default: []
  describe:
    description: Return refusals with the plan instead of failing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_restore_point
"""

EXAMPLES = r"""
- name: Plan a restore point
  relevo.postgres.pg_restore_point_plan:
    name: before_release
    cluster: main
    primary: postgres_master
    repository: pgbackrest
    backups: "{{ repository.backups }}"
"""

RETURN = r"""
label:
  description: The backup with which it is noted; empty where it is refused.
  returned: success
  type: str
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
"""
