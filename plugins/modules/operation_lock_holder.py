#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: operation_lock_holder
short_description: Start the process that holds an operation lock
version_added: 0.1.0
description:
  - The part of M(relevo.postgres.operation_lock) that runs on the repository host, as root. Not for direct use, since
    the lock that it takes ends after 12 s unless somebody sends the process its beats.
  - A play that holds the lock already keeps it; its record then names the new operation.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
options:
  play:
    description: A word that names this run of C(ansible-playbook) and no other.
    type: str
    required: true
  operation:
    description: What is going to be done.
    type: str
    required: true
  clusters:
    description: The clusters that it is done to.
    type: list
    elements: str
    required: true
  requested_by:
    description: Who asked.
    type: str
    required: true
  job:
    description: The number of the AWX job, or nothing.
    type: str
    default: ''
  controller:
    description: The host on which C(ansible-playbook) runs.
    type: str
    required: true
  process:
    description: The number of its process there.
    type: int
    required: true
  wait:
    description: Seconds to wait for those who are in the way.
    type: int
    default: 0
  prove:
    description: Whether those who are in the way are given the time to show that they live. They get it with O(wait).
    type: bool
    default: true
attributes:
  check_mode:
    support: none
    details: M(relevo.postgres.operation_lock) takes nothing in check mode.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Hold the lock for 12 s
  relevo.postgres.operation_lock_holder:
    play: by-hand
    operation: backup
    clusters: [main]
    requested_by: alice@ctl
    controller: ctl
    process: 4711
  delegate_to: pgbackrest
"""

RETURN = r"""
pipe:
  description: The named pipe to which the beats go.
  returned: success
  type: str
started:
  description: Whether a process was started; false when this play has one already.
  returned: success
  type: bool
refused:
  description: Whether others were in the way.
  returned: failure
  type: bool
unfinished_restore:
  description: The record of a restore in place that is not finished (M(relevo.postgres.restore_record)).
  returned: when that was in the way
  type: dict
holders:
  description: The records of those who were in the way, as M(relevo.postgres.operation_lock_info) returns them.
  returned: when others were in the way
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._restore.operation_lock import take


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "play": {"type": "str", "required": True},
            "operation": {"type": "str", "required": True},
            "clusters": {"type": "list", "elements": "str", "required": True},
            "requested_by": {"type": "str", "required": True},
            "job": {"type": "str", "default": ""},
            "controller": {"type": "str", "required": True},
            "process": {"type": "int", "required": True},
            "wait": {"type": "int", "default": 0},
            "prove": {"type": "bool", "default": True},
        },
    )
    run_module(module, lambda module: take(module.params))


if __name__ == "__main__":
    main()
