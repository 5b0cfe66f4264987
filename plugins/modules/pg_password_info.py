#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_password_info
short_description: Say which roles have the password that they should have
version_added: 0.1.0
description:
  - Compares passwords with the SCRAM verifiers that the server of this node has, as a client makes them (SASLprep),
    with whatever letters they are written. Others know fewer letters, and would set such a password at every run.
  - A role that is not there, or whose password is not stored as a SCRAM verifier, is not among them.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.cluster.psycopg
options:
  passwords:
    description: The password of each role, by the role's name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask who has the right password
  relevo.postgres.pg_password_info:
    passwords: {shop: "{{ vault_shop }}"}
  register: passwords
"""

RETURN = r"""
same:
  description: The roles that have it.
  returned: success
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import matches
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def with_their_password(passwords: Mapping[str, Any], verifiers: Mapping[str, str | None]) -> list[str]:
    """The roles whose verifier is that of their password."""
    return [name for name, password in passwords.items() if matches(str(password), verifiers.get(name))]


def work(module: AnsibleModule) -> dict[str, Any]:
    with Session.local(timeout=30) as session:
        rows = session.query("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
    verifiers = {str(row["rolname"]): row["rolpassword"] for row in rows}
    return {"changed": False, "same": with_their_password(module.params["passwords"], verifiers)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"passwords": {"type": "dict", "required": True, "no_log": True}},
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
