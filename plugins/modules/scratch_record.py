#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: scratch_record
short_description: Note on the repository host what is restored beside a cluster on another host
version_added: 0.1.0
description:
  - Runs on the repository host. While a scratch instance on another host is O(state=reading), its backup is neither
    removed by M(relevo.postgres.backup_cleanup) nor expired after a backup of M(relevo.postgres.pgbackrest_backup).
  - M(relevo.postgres.pg_scratch_info) returns the hosts that are noted.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  cluster:
    description: The cluster whose data the instance gets.
    type: str
    required: true
  host:
    description: The inventory name of the host that has the instance.
    type: str
    required: true
  name:
    description: The instance.
    type: str
    required: true
  backup:
    description: The label of the backup that is read. Empty when any may be.
    type: str
    default: ""
  state:
    description:
      - V(reading) from before the restore to the moment when its target is reached.
      - V(restored) as long as it stands afterwards, when it needs nothing of the repository any more.
      - V(absent) when it is gone.
    type: str
    choices: [reading, restored, absent]
    required: true
seealso:
  - module: relevo.postgres.pg_scratch
  - module: relevo.postgres.pg_scratch_info
"""

EXAMPLES = r"""
- name: Keep the backup until the other host has it
  relevo.postgres.scratch_record:
    cluster: main
    host: reports
    name: main_latest
    backup: 20261126-010000F
    state: reading
  delegate_to: pgbackrest
"""

RETURN = r"""
path:
  description: The file of the note on the repository host, whether or not there is one.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.scratch_roots import Elsewhere


def work(module: AnsibleModule) -> dict[str, Any]:
    given = {name: module.params[name] for name in ("host", "name", "cluster", "backup")}
    state = module.params["state"]
    one = Elsewhere(**given, reading=state == "reading")
    changed = one.path.exists() if state == "absent" else not one.stands
    if changed and not module.check_mode:
        if state == "absent":
            one.forget()
        else:
            one.note()
    return {"changed": changed, "path": str(one.path)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "backup": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["reading", "restored", "absent"], "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
