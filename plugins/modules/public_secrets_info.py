#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: public_secrets_info
short_description: Find passwords that are a public word
version_added: 0.1.0
description:
  - Before 0.1.0, each secret that was provided by C(secrets_given) reached the servers as the word
    C(VALUE_SPECIFIED_IN_NO_LOG_PARAMETER), which Ansible prints in place of secrets and which anybody can guess.
  - Looks for that word in the node's passfile, in the configuration of its Redis, and, where a server runs here that
    accepts writes, among the verifiers of all roles that can log in.
  - Runs on the node. Changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  redis_config:
    description: The configuration file of Redis, on a node that has one.
    type: path
requirements:
  - psycopg >= 3.1, where PostgreSQL runs
"""

EXAMPLES = r"""
- name: Look for passwords that are a public word
  relevo.postgres.public_secrets_info:
  register: public
"""

RETURN = r"""
found:
  description: What has the public word for its password, in words for a person.
  returned: success
  type: list
  elements: str
  sample: [the passfile of db1 (relevo_monitor), the role imdb]
writable:
  description: Whether a server runs on this node that accepts writes.
  returned: success
  type: bool
"""

import platform
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import public_roles
from ansible_collections.relevo.postgres.plugins.module_utils._server import session as _session
from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import matches
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session


def public_logins() -> tuple[list[str], bool]:
    """The roles of this node's server that have the public word, and whether the server accepts writes.

    A standby's roles are its primary's, so only the latter is asked.
    """
    if Server().postmaster_pid() is None or Server().is_standby_configured:
        return [], False
    with Session.local(timeout=30) as session:
        if session.flag("SELECT pg_is_in_recovery()"):
            return [], False
        roles = session.query("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin ORDER BY rolname")
    return [f"the role {row['rolname']}" for row in roles if matches(_names.PUBLIC_WORD, row["rolpassword"])], True


def content(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def work(module: AnsibleModule) -> dict[str, Any]:
    found, writable = public_logins()
    roles = public_roles(content(_names.PASSFILE))
    if roles:
        found.append(f"the passfile of {platform.node()} ({', '.join(roles)})")
    redis_config = module.params["redis_config"]
    if redis_config and _names.PUBLIC_WORD in content(Path(redis_config)):
        found.append(f"the Redis of {platform.node()}")
    return {"changed": False, "found": found, "writable": writable}


def main() -> None:
    module = AnsibleModule(argument_spec={"redis_config": {"type": "path"}}, supports_check_mode=True)
    if Server().postmaster_pid() is not None:
        require_libraries(module, {"psycopg": _session.PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
