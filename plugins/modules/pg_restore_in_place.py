#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_in_place
short_description: Replace the data of a node by those of a backup, at a target
version_added: 0.1.0
description:
  - Runs on the node that gets the data first. Restores the backup over what is there (C(--delta)), recovers it to the
    target where no client finds the server, opens a timeline newer than any that is known, and then has the node's
    service run it.
  - Refuses a node that M(relevo.postgres.pg_restore_hold) has not marked.
  - When it is killed, call it again. It waits for a copy that was left behind, and begins anew where the target had not
    been reached.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  stanza:
    description: The cluster's stanza.
    type: str
    default: main
  order:
    description: What names this restore, C(at) of its record.
    type: str
    required: true
  plan:
    description: RV(relevo.postgres.pg_restore_in_place_plan#module:plan).
    type: dict
    required: true
  newest_timelines:
    description: The newest timelines that the archive and the nodes know. The new one is newer than all of them.
    type: list
    elements: int
    default: []
  process_max:
    description: Number of pgBackRest's processes. The configuration's when omitted.
    type: int
  timeout:
    description: Seconds for the copy, and again for the recovery.
    type: float
    default: 86400
  undo:
    description:
      - C(undo) of the record, the way back to what the cluster was before. Its command is shown where the target cannot
        be reached. Empty where there is none.
    type: dict
    default: {}
seealso:
  - module: relevo.postgres.pg_restore_in_place_plan
  - module: relevo.postgres.pg_restore_hold
"""

EXAMPLES = r"""
- name: Restore
  relevo.postgres.pg_restore_in_place:
    order: "{{ planned.record.at }}"
    plan: "{{ planned.plan }}"
    service_manager: runit
  delegate_to: postgres_master
"""

RETURN = r"""
outcome:
  description:
    - What was reached, as C(lsn), C(last_commit), C(timeline) (the new one), C(recovered_timeline), C(backup),
      C(copy_s) and C(recovery_s).
  returned: outside of check mode
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._restore.in_place import Undo
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import RestorePlan
from ansible_collections.relevo.postgres.plugins.module_utils._restore.replacement import Replacement, Task
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def work(module: AnsibleModule) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": True}
    given = module.params
    task = Task(
        given["stanza"],
        given["order"],
        RestorePlan.from_dict(given["plan"]),
        max(given["newest_timelines"], default=0),
        given["process_max"],
        given["timeout"],
        Undo(**given["undo"]) if given["undo"] else None,
    )
    outcome, changed = Replacement(task, service_for(given["service_manager"])).run()
    return {"changed": changed, "outcome": outcome}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "order": {"type": "str", "required": True},
            "plan": {"type": "dict", "required": True},
            "newest_timelines": {"type": "list", "elements": "int", "default": []},
            "process_max": {"type": "int"},
            "timeout": {"type": "float", "default": 86400},
            "undo": {"type": "dict", "default": {}},
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
