#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_tables_plan
short_description: Decide what a restore of tables, or of a database, would do
version_added: 0.1.0
description:
  - Says where tables, or a database, would go, out of which scratch instance, and refuses what cannot work. Runs on the
    controller and changes nothing.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  cluster:
    description: The cluster.
    type: str
    required: true
  host:
    description: The host of the scratch instance.
    type: str
    required: true
  database:
    description: The database.
    type: str
    default: ""
  tables:
    description: As for M(relevo.postgres.pg_table_source).
    type: list
    elements: str
    default: []
  into:
    description: As for M(relevo.postgres.pg_table_source).
    type: str
    default: ""
  scratch:
    description: The name of a scratch instance, which stays. It is made where it is not there.
    type: str
    default: ""
  keep:
    description: Whether one that is made for this stays.
    type: bool
    default: false
  primary:
    description: What M(relevo.postgres.pg_table_target) says of the primary.
    type: dict
    required: true
  restore:
    description: What M(relevo.postgres.pg_restore_plan) says, where a scratch instance has to be made.
    type: dict
    default: {}
  instances:
    description: What M(relevo.postgres.pg_scratch_info) says.
    type: list
    elements: dict
    default: []
  describe:
    description: Return refusals with the plan instead of failing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_restore_plan
"""

EXAMPLES = r"""
- name: Plan to restore a table
  relevo.postgres.pg_tables_plan:
    cluster: main
    host: pgbackrest
    database: shop
    tables: [public.orders]
    primary: "{{ looked.there }}"
    restore: "{{ planned }}"
"""

RETURN = r"""
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
refusals:
  description: Why it would not be begun.
  returned: success
  type: list
  elements: str
question:
  description: What has to be confirmed; empty where nothing is lost.
  returned: success
  type: str
name:
  description: The scratch instance.
  returned: success
  type: str
made:
  description: Whether it has to be made.
  returned: success
  type: bool
remove:
  description: Whether it is removed at the end.
  returned: when it is not refused
  type: bool
already:
  description: Whether an earlier run has done it.
  returned: success
  type: bool
"""
