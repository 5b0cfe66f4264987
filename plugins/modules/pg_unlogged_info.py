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
  - Runs on the node of the primary, or of a standby. There they are empty already, and those are named that had rows
    when they were last analyzed, or never were.
  - A database that does not answer in time is named, and is not a failure.
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
  operation_plan:
    description: The plan of M(relevo.postgres.pg_handover_plan), to which the sentences are added as risks.
    type: dict
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
operation_plan:
  description: The plan with them.
  returned: when O(operation_plan) is given
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR
from ansible_collections.relevo.postgres.plugins.module_utils._server.unlogged import EMPTIED, FILLED, unlogged_tables


def work(module: AnsibleModule) -> dict[str, Any]:
    query = EMPTIED if Server().is_standby_configured else FILLED
    found = unlogged_tables(query, module.params["timeout"])
    sentences = found.sentences(f"will be empty on {module.params['candidate']}")
    result: dict[str, Any] = {
        "changed": False,
        "tables": dict(found.tables),
        "unasked": list(found.unasked),
        "sentences": sentences,
    }
    if module.params["operation_plan"]:
        plan = OperationPlan.from_dict(module.params["operation_plan"])
        result["operation_plan"] = plan.with_risks(sentences).as_dict()
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "candidate": {"type": "str", "required": True},
            "operation_plan": {"type": "dict"},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
