#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_unlogged_info
short_description: Name the unlogged tables with rows, in every database
version_added: 0.1.0
description:
  - Their rows are in no WAL, so they are empty on a standby that is promoted.
  - Runs on the node of the primary. A database that does not answer in time is named, and is not a failure.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.cluster.psycopg
options:
  candidate:
    description: The inventory name of the standby that is to take over, for the sentences.
    type: str
    required: true
  timeout:
    description: Seconds for all databases together.
    type: float
    default: 5
seealso:
  - module: relevo.postgres.pg_switchover
"""

EXAMPLES = r"""
- name: Ask what would be empty after a hand-over
  relevo.postgres.pg_unlogged_info:
    candidate: postgres_slave
  delegate_to: postgres_master
"""

RETURN = r"""
tables:
  description: The tables with rows, by database.
  returned: success
  type: dict
  sample: {imdb: [public.sessions]}
unasked:
  description: The databases that could not be asked in time.
  returned: success
  type: list
  elements: str
sentences:
  description: Both in words.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR
from ansible_collections.relevo.postgres.plugins.module_utils._server.unlogged import unlogged_tables


def work(module: AnsibleModule) -> dict[str, Any]:
    found = unlogged_tables(timeout=module.params["timeout"])
    return {
        "changed": False,
        "tables": dict(found.tables),
        "unasked": list(found.unasked),
        "sentences": found.sentences(f"will be empty on {module.params['candidate']}"),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "candidate": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
