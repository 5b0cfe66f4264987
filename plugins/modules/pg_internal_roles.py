#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_internal_roles
short_description: Make the collection's internal logins and database on the primary
version_added: 0.1.0
description:
  - Makes C(relevo_replication), C(relevo_rewind), C(relevo_monitor) and C(relevo_handover), each with the least it
    needs, and the database C(relevo), to which no application may connect.
  - Passwords are compared with the stored SCRAM verifier, and sent as verifiers, so that they reach no log.
  - Runs on the primary's node.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Says whether anything is missing.
  diff_mode:
    support: none
options:
  passwords:
    description: The password of each role, by the role's name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Make the collection's roles
  relevo.postgres.pg_internal_roles:
    passwords: "{{ secrets }}"
"""

RETURN = r"""
statements:
  description: What was, or in check mode would be, executed; passwords are cut out.
  returned: success
  type: list
  elements: str
"""

import re
from itertools import takewhile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.internal_roles import (
    databases,
    missing_functions,
    missing_roles,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def execute(session: Session, needed: list[str], check_mode: bool) -> list[str]:
    if not check_mode:
        # All passwords or none: a server that ends in between would know some of the old ones and some of the new.
        together = list(takewhile(lambda statement: not statement.startswith("CREATE DATABASE"), needed))
        for statement in [*(["BEGIN", *together, "COMMIT"] if together else []), *needed[len(together) :]]:
            session.query(statement)
    return needed


def work(module: AnsibleModule) -> dict[str, Any]:
    check_mode = module.check_mode
    with Session.local(timeout=30) as session:
        done = execute(session, missing_roles(session, module.params["passwords"]), check_mode)
    if not (check_mode and done):
        for database in databases():
            with Session.local(database, timeout=30) as session:
                done += execute(session, missing_functions(session, database), check_mode)
    shown = [re.sub(r" PASSWORD '.*'", " PASSWORD ...", statement) for statement in done]
    return {"changed": bool(done), "statements": shown}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"passwords": {"type": "dict", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
