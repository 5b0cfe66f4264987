#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_switchover_check
short_description: Refuse a planned hand-over that could not end with working backups
version_added: 0.1.0
description:
  - Asks the repository, on the repository host to which the task is delegated. Touches nothing.
  - Refuses while a backup runs, when the repository host does not answer, and when the archive holds a newer timeline
    than the primary's while a node is away that may be on it. O(force=true) asks nobody and refuses nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.attributes.action
options:
  primary:
    description: Inventory name of the primary.
    type: str
    required: true
  candidate:
    description: Inventory name of the standby that takes over.
    type: str
    required: true
  timeline:
    description: The primary's timeline.
    type: int
    required: true
  unreachable:
    description: Inventory names of the nodes that do not answer.
    type: list
    elements: str
    default: []
  repository:
    description: Inventory name of the repository host.
    type: str
    required: true
  repository_answers:
    description: Whether it answers.
    type: bool
    required: true
  stanza:
    description: The cluster's stanza.
    type: str
    required: true
  force:
    description: Hand over all the same.
    type: bool
    default: false
  operation_plan:
    description: The plan of M(relevo.postgres.pg_handover_plan). A refusal is then added to it, and does not fail.
    type: dict
"""

EXAMPLES = r"""
- name: Ask the repository
  relevo.postgres.pg_switchover_check:
    primary: postgres_master
    candidate: postgres_slave
    timeline: 1
    repository: pgbackrest
    repository_answers: true
    stanza: main
  delegate_to: pgbackrest
"""

RETURN = r"""
operation_plan:
  description: The plan with its refusals.
  returned: when O(operation_plan) was given
  type: dict
archiver_timeout:
  description: Seconds for O(relevo.postgres.pg_switchover#module:archiver_timeout). Few where a repository is away.
  returned: success
  type: float
reserve_timelines:
  description: Whether the candidate must reserve the numbers of abandoned timelines before it is promoted.
  returned: success
  type: bool
"""
