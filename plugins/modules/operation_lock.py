#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: operation_lock
short_description: One operation for each cluster
version_added: 0.1.0
description:
  - Takes the lock of a cluster for an operation, and holds it until C(ansible-playbook) ends, in whatever way.
  - Runs on the controller and on the host that the task is delegated to, the repository host. There a process holds the
    lock for as long as a process on the controller sends it beats; it ends 12 s after the last one.
  - Who is in the way is said with name, operation, time and job. Some operations do not exclude one another, such as a
    backup and C(site.yml).
  - Taken again by the same run of C(ansible-playbook) it is held for the operation named last.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
options:
  state:
    description:
      - V(taken) takes the lock.
      - V(kept) only looks whether this play still has the lock that it took, without a word to the repository host. One
        that was lost is taken again, and the task fails where somebody else has it by now.
    type: str
    choices: [taken, kept]
    default: taken
  operation:
    description: What is going to be done. It decides who is in the way.
    type: str
    required: true
    choices:
      - site
      - site_restart
      - add_node
      - backup
      - failover
      - failback
      - rejoin
      - restore
      - restore_beside
      - drill
      - restore_point
      - cleanup
      - rotate
      - down
      - remove
      - remove_node
      - upgrade_minor
  clusters:
    description: The clusters that it is done to.
    type: list
    elements: str
    required: true
  wait:
    description:
      - Seconds to wait for those who are in the way. Where the lock is O(required) they are given some more, to show
        that they live; those that were killed end within 12 s.
    type: int
    default: 0
  required:
    description:
      - Whether the task fails when others are in the way. Otherwise it warns, and the play goes on without the lock.
    type: bool
    default: true
  unreachable:
    description: What to do when the repository host does not answer.
    type: str
    choices: [fail, proceed]
    default: fail
  leave_out:
    description:
      - Takes the lock of those of O(clusters) that nobody works on, and returns the others as RV(left_out) instead of
        failing; all of them where the repository host does not answer. Whoever sets it leaves them alone.
      - With O(wait) it is waited for those first.
    type: bool
    default: false
  apart:
    description:
      - Beside the lock that this play has on the same host for other clusters. Otherwise it gives that one up, since a
        play has one lock on a host.
    type: bool
    default: false
  begun:
    description:
      - Whether this play has changed something by now, as an emergency has, which promotes before it takes the lock.
        A refusal says so then, and not that nothing was changed.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details: Takes nothing, and looks at nothing.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Be the only one who works on the cluster
  relevo.postgres.operation_lock:
    operation: backup
    clusters: [main]
  delegate_to: pgbackrest
"""

RETURN = r"""
held:
  description: Whether this play has the lock.
  returned: success
  type: bool
left_out:
  description: With O(leave_out), the clusters whose lock was not taken, each with the reason.
  returned: success
  type: dict
  sample: {shop: 'The repository host does not answer.'}
holders:
  description: Who is in the way, as M(relevo.postgres.operation_lock_info) returns it.
  returned: when others are in the way
  type: list
  elements: dict
"""
