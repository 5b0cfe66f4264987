#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_synchronous
short_description: Require a synchronous standby on the primary, or end that
version_added: 0.1.0
description:
  - Runs on the primary's node. By a reload, never a restart, it makes every commit wait until one of O(standbys) has it
    on its disk (C(synchronous_standby_names)).
  - Requires one only while at least one streams, since a primary without any would take no writes. Where it is required
    already it stays required, whoever streams, until O(wanted=false).
  - What is wanted is kept in the database C(relevo), so that it goes along with the role. It counts without O(wanted).
  - Holds a shared lock on the primary, so that no hand-over moves the role meanwhile.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  standbys:
    description: The inventory names of the other nodes of the cluster, whether they answer or not. Any one suffices.
    type: list
    elements: str
    required: true
  wanted:
    description: Whether a synchronous standby is required. As it was chosen the last time when omitted.
    type: bool
"""

EXAMPLES = r"""
- name: Require a synchronous standby
  relevo.postgres.pg_synchronous:
    node: postgres_master
    standbys: [postgres_slave]
    wanted: true

- name: Require one again after a hand-over, where that is wanted
  relevo.postgres.pg_synchronous:
    node: postgres_slave
    standbys: [postgres_master]
"""

RETURN = r"""
wanted:
  description: Whether a synchronous standby is wanted.
  returned: success
  type: bool
required:
  description: Whether the primary requires one now.
  returned: success
  type: bool
standbys:
  description: The standbys that stream and count; a commit waits for any one of them.
  returned: success
  type: list
  elements: str
blocked:
  description: Whether one is required and none streams, so that no commit is acknowledged.
  returned: success
  type: bool
message:
  description: What somebody should know; empty when all is as it was and as it should be.
  returned: success
  type: str
actions:
  description: What was, or in check mode would be, done.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.synchronous import Synchronous
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def work(module: AnsibleModule) -> dict[str, Any]:
    return Synchronous(**module.params).run(module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "standbys": {"type": "list", "elements": "str", "required": True},
            "wanted": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
