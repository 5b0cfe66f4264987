#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_slot_removal
short_description: Drop the replication slot of a node that leaves its cluster
version_added: 0.1.0
description:
  - Runs on the primary, and on a standby, which may have such a slot from its time as the primary. A sender that still
    occupies the slot is ended, so the node has to be stopped before.
author: The Relevo authors (@relevo)
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.psycopg
options:
  slot_of:
    description: The inventory name of the node that leaves.
    type: str
    required: true
seealso:
  - module: relevo.postgres.node_retirement
"""

EXAMPLES = r"""
- name: Drop its slot
  relevo.postgres.pg_slot_removal:
    slot_of: postgres_third
"""

RETURN = r"""
slot:
  description: The slot's name.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._names import slot_name
from ansible_collections.relevo.postgres.plugins.module_utils._server.replication import drop_slot
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def work(module: AnsibleModule) -> dict[str, Any]:
    name = slot_name(module.params["slot_of"])
    with Session.local(application_name="relevo node removal", timeout=60) as session:
        if module.check_mode:
            there = session.flag("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)", (name,))
        else:
            there = drop_slot(session, name)
    return {"changed": there, "slot": name}


def main() -> None:
    module = AnsibleModule(argument_spec={"slot_of": {"type": "str", "required": True}}, supports_check_mode=True)
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
