#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_cycle_plan
short_description: Decide which backups of the cycle are to be made
version_added: 0.1.0
description:
  - Asks the repository host what M(relevo.postgres.backup_cycle_info) does (O(ask)), with a small program where the
    inventory names its C(ansible_python_interpreter), or takes O(backups).
  - Reads from the annotations of the repository's backups which day of the cycle was done last, and returns the steps
    that are to be made now, each with the annotations that M(relevo.postgres.pgbackrest_backup) has to store with it.
  - Backups without these annotations, made by hand, do not count. The dates are those of the repository host.
  - Where there are several repositories, and none is named, nothing is decided but which there are.
  - Decides on the controller. Changes nothing.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.attributes.info_module
options:
  ask:
    description: The options of M(relevo.postgres.backup_cycle_info), which the repository host is asked by.
    type: dict
  observer:
    description: The host that asks who is primary, where that is another one than the repository host.
    type: str
    default: ""
  backups:
    description: The backups, as M(relevo.postgres.pgbackrest_info) returns them, in place of O(ask).
    type: list
    elements: dict
  days:
    description: The cycle, as a dictionary of day numbers and lists of V(full), V(diff) and V(incr).
    type: dict
    required: true
  second_days:
    description: The cycle of the second repository. That of the first one when omitted.
    type: dict
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
    description: Inventory name of the primary, for the annotation C(relevo-primary), where it is not asked for.
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
    default: ""
  repository:
    description: What the repository is called in RV(operation_plan), where there are two.
    type: str
    default: ""
seealso:
  - module: relevo.postgres.backup_cycle_info
  - module: relevo.postgres.pgbackrest_backup
  - module: relevo.postgres.pgbackrest_info
"""

EXAMPLES = r"""
- name: Decide what is to be done
  relevo.postgres.backup_cycle_plan:
    ask:
      stanza: main
      nodes:
        - name: postgres_master
        - name: postgres_slave
    days: {1: [full], 2: [incr], 3: [incr, diff]}
  register: plan
"""

RETURN = r"""
repositories:
  description: The repositories, as M(relevo.postgres.pgbackrest_repositories_info) returns them.
  returned: with O(ask)
  type: list
  elements: dict
number:
  description: The number of the repository that was asked.
  returned: with O(ask), where one repository is asked
  type: int
primary:
  description: The one primary, with its C(name), C(host) and C(timeline).
  returned: with O(ask), where one repository is asked
  type: dict
now:
  description: The moment at which the repository host was asked, with its time zone.
  returned: with O(ask), where one repository is asked
  type: str
catalog:
  description: Whether Redis can be used (C(reachable)), and otherwise why not (C(reason), C(kind)).
  returned: with O(ask), where Redis was asked
  type: dict
operation_plan:
  description: The same for people and programs, in the shape that docs/reference/plan.md describes.
  returned: where one repository is decided on
  type: dict
day:
  description: The day whose steps are to be made; the last one when there is nothing to do.
  returned: where one repository is decided on
  type: int
cycle:
  description: Identifier of the cycle, the time at which it was asked for.
  returned: where one repository is decided on
  type: str
  sample: 20261124T120000Z
steps:
  description: What is to be made, in order.
  returned: where one repository is decided on
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
  returned: where one repository is decided on
  type: bool
reason:
  description: Why these steps, or why none.
  returned: where one repository is decided on
  type: str
next_day:
  description: The day that comes after.
  returned: where one repository is decided on
  type: int
"""
