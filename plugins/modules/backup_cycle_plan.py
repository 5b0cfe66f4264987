#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which backups of the cycle are to be made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_cycle_plan
short_description: Decide which backups of the cycle are to be made
version_added: 0.1.0
description:
  - Reads from the annotations of the repository's backups which day of the cycle was done last, and returns the steps
    that are to be made now, each with the annotations that M(relevo.postgres.pgbackrest_backup) has to store with it.
  - Backups without these annotations, made by hand, do not count.
  - Runs on the repository host, whose dates count. Changes nothing.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  backups:
    description: The backups, as M(relevo.postgres.pgbackrest_info) returns them.
    type: list
    elements: dict
    required: true
  days:
    description: The cycle, as a dictionary of day numbers and lists of V(full), V(diff) and V(incr).
    type: dict
    required: true
  day:
    description:
      - A day of the cycle. When it was half done last, only its remaining steps are made.
      - V(auto) is a half-done day, otherwise the day after the last one; nothing on the date on which a day was begun
        and finished, nor within O(rest_hours) after one was finished.
    type: str
    default: auto
  force:
    description: Whether V(auto) goes on to the next day although one was finished today.
    type: bool
    default: false
  only_first:
    description: Do nothing unless the repository is empty; for provisioning.
    type: bool
    default: false
  rest_hours:
    description: Hours after the end of a day in which a relaunched job does not go on, even after midnight.
    type: float
    default: 6
  primary:
    description: Inventory name of the primary, for the annotation C(relevo-primary).
    type: str
  requested_by:
    description: Who asked, for the annotation C(relevo-by).
    type: str
  cluster:
    description: The cluster's name, for RV(operation_plan).
    type: str
    default: main
  running:
    description: How far a backup is that runs now, as M(relevo.postgres.pgbackrest_info) says, for RV(operation_plan).
    type: str
  repository:
    description: What the repository is called in RV(operation_plan), where there are two.
    type: str
    default: ""
seealso:
  - module: relevo.postgres.pgbackrest_backup
  - module: relevo.postgres.pgbackrest_info
"""

EXAMPLES = r"""
- name: Decide what is to be done
  relevo.postgres.backup_cycle_plan:
    backups: "{{ repository.backups }}"
    days: {1: [full], 2: [incr], 3: [incr, diff]}
    primary: postgres_master
  register: plan
"""

RETURN = r"""
operation_plan:
  description: The same for people and programs, in the shape that docs/reference/plan.md describes.
  returned: success
  type: dict
day:
  description: The day whose steps are to be made; the last one when there is nothing to do.
  returned: success
  type: int
cycle:
  description: Identifier of the cycle, the time at which it was asked for.
  returned: success
  type: str
  sample: 20261124T120000Z
steps:
  description: What is to be made, in order.
  returned: success
  type: list
  elements: dict
  contains:
    type:
      description: The type of backup.
      type: str
    day:
      description: The day.
      type: int
    step:
      description: Number of the step, and of all steps of the day.
      type: str
      sample: 1/2
    annotations:
      description: What to store with the backup.
      type: dict
nothing_to_do:
  description: Whether there are no steps.
  returned: success
  type: bool
reason:
  description: Why these steps, or why none.
  returned: success
  type: str
next_day:
  description: The day that comes after.
  returned: success
  type: int
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import (
    BY,
    PRIMARY,
    CycleRequest,
    describe,
    parse_days,
    plan,
)


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    notes = {PRIMARY: params["primary"], BY: params["requested_by"]}
    request = CycleRequest(
        params["day"],
        parse_days(params["days"]),
        {key: value for key, value in notes.items() if value},
        force=params["force"],
        only_first=params["only_first"],
        rest=datetime.timedelta(hours=params["rest_hours"]),
    )
    decided = plan(params["backups"], request, datetime.datetime.now().astimezone())
    shown = describe(decided, params["backups"], params["cluster"], params["primary"] or "", params["repository"])
    if params["running"] and not decided.nothing_to_do:
        shown = shown.refused(f"A backup is running ({params['running']}). Run this again when it has ended.")
    return {"changed": False, **decided.as_dict(), "operation_plan": shown.as_dict()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "backups": {"type": "list", "elements": "dict", "required": True},
            "days": {"type": "dict", "required": True},
            "day": {"type": "str", "default": "auto"},
            "force": {"type": "bool", "default": False},
            "only_first": {"type": "bool", "default": False},
            "rest_hours": {"type": "float", "default": 6},
            "primary": {"type": "str"},
            "requested_by": {"type": "str"},
            "cluster": {"type": "str", "default": "main"},
            "running": {"type": "str"},
            "repository": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
