#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: held_secrets_info
short_description: What a node has of the secrets of a cluster
version_added: 0.1.0
description:
  - Says whether the node is part of a cluster already, which authority it trusts, and for which of our roles its
    passfile has another password than the one at hand. See M(relevo.postgres.held_secrets_check).
  - Finds passwords that are a public word. Before 0.1.0, each secret that was provided by C(secrets_given) reached the
    servers as the word C(VALUE_SPECIFIED_IN_NO_LOG_PARAMETER), which Ansible prints in place of secrets and which
    anybody can guess. It is looked for in the node's passfile, in the configuration of its Redis, and, where a server
    runs here that accepts writes, among the verifiers of all roles that can log in.
  - Runs on the node. Changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  redis_config:
    description: The configuration file of Redis, on a node that has one.
    type: path
  verifiers:
    description: By role, a verifier of the password at hand, as PostgreSQL stores them.
    type: dict
    default: {}
  adopting:
    description:
      - Whether the node's data are those of a server that others have set up, and that is about to be adopted. They
        are part of no cluster that has secrets of ours.
    type: bool
    default: false
requirements:
  - psycopg >= 3.1, where PostgreSQL runs
"""

EXAMPLES = r"""
- name: Look at the secrets of the node
  relevo.postgres.held_secrets_info:
    verifiers: "{{ secrets.verifiers }}"
  register: held
"""

RETURN = r"""
belongs:
  description: Whether the node was part of a cluster before, by its files or its data directory.
  returned: success
  type: bool
authority:
  description: The certificates of the authorities that it trusts, in PEM; empty where it has none.
  returned: success
  type: str
certificate:
  description: The certificate of the node, in PEM; empty where it has none.
  returned: success
  type: str
differing:
  description:
    - The roles that have another password in its passfile than that of O(verifiers). Not those with the public word.
  returned: success
  type: list
  elements: str
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
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import other_passwords, public_roles
from ansible_collections.relevo.postgres.plugins.module_utils._server import session as _session
from ansible_collections.relevo.postgres.plugins.module_utils._server.foreign import has_read_our_files
from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import matches
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session


def public_logins() -> tuple[list[str], bool]:
    """The roles of this node's server that have the public word, and whether the server accepts writes.

    A standby's roles are its primary's, so only the latter is asked.
    """
    server = Server()
    if server.postmaster_pid() is None or server.is_standby_configured:
        return [], False
    # An adoption that died half way: our files are here, and the server of others has not read them. It has no role of
    # ours then.
    if not has_read_our_files(server):
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
    pgpass, authority = content(_names.PASSFILE), content(_names.CA_FILE)
    roles = public_roles(pgpass)
    if roles:
        found.append(f"the passfile of {platform.node()} ({', '.join(roles)})")
    redis_config = module.params["redis_config"]
    if redis_config and _names.PUBLIC_WORD in content(Path(redis_config)):
        found.append(f"the Redis of {platform.node()}")
    return {
        "changed": False,
        "belongs": bool(pgpass or authority)
        or (not module.params["adopting"] and any(_names.DATA_ROOT.glob("*/main/PG_VERSION"))),
        "authority": authority,
        "certificate": content(_names.CERTIFICATE),
        # What has the public word is told of in words of its own, and has another way out.
        "differing": [
            role for role in other_passwords(pgpass, module.params["verifiers"], matches) if role not in roles
        ],
        "found": found,
        "writable": writable,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "redis_config": {"type": "path"},
            "verifiers": {"type": "dict", "default": {}, "no_log": True},
            "adopting": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if Server().postmaster_pid() is not None:
        require_libraries(module, {"psycopg": _session.PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
