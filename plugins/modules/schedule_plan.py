#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schedule_plan
short_description: Work out the files and units of a schedule
version_added: 0.1.0
description:
  - From the inventory and the variables of the role P(relevo.postgres.schedule#role), which is its only user.
  - Refuses what cannot be meant, such as a job whose playbook is not there.
  - Runs on the controller, asks no host and changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  given:
    description: The variables of the role without its name, and the paths that its tasks found out.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Work out the schedule
  relevo.postgres.schedule_plan:
    given: "{{ __schedule_given }}"
  register: planned
"""

RETURN = r"""
files:
  description: Directories and files of the jobs, as M(relevo.postgres.managed_files) takes them.
  returned: success
  type: list
  elements: dict
unit_files:
  description: The units, as M(relevo.postgres.managed_files) takes them. They hold no variable of a job.
  returned: success
  type: list
  elements: dict
folders:
  description: The directory of each job.
  returned: success
  type: list
  elements: str
units:
  description: The paths of the units.
  returned: success
  type: list
  elements: str
timers:
  description: The names of the timers.
  returned: success
  type: list
  elements: str
calendars:
  description: The calendar expressions with their time zone, for C(systemd-analyze calendar).
  returned: success
  type: list
  elements: str
groups:
  description: The groups of the operating system that the user has to be in.
  returned: success
  type: list
  elements: str
cron:
  description: The same jobs as lines for a crontab.
  returned: success
  type: str
"""
