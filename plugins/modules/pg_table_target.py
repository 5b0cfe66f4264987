#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load tables, or a database, that were taken out of a scratch instance."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_table_target
short_description: Load tables, or a database, that were taken out of a scratch instance
version_added: 0.1.0
description:
  - Runs on the primary, whose own programs load the archives over its own socket.
  - All of it is loaded in one transaction, beside what is there or in its place. When it is killed, none of it is
    there; a database that was made for it stays, empty, until the next run or until it is dropped.
  - Changes nothing where an earlier run has loaded the same.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
options:
  state:
    description:
      - V(looked) returns what there is. V(tried) refuses what the server would not take, by making the tables in a
        transaction that is taken back. V(loaded) loads the archives that are in O(archives), and removes them.
    type: str
    choices: [looked, tried, loaded]
    default: looked
  primary:
    description: The node's name, for messages.
    type: str
    default: the primary
  database:
    description: The database.
    type: str
    required: true
  tables:
    description: As for M(relevo.postgres.pg_table_source).
    type: list
    elements: str
    default: []
  into:
    description: As for M(relevo.postgres.pg_table_source).
    type: str
    default: ""
  looked:
    description: What M(relevo.postgres.pg_table_source) has returned when it only looked.
    type: dict
    default: {}
  archives:
    description: The archives, on this node.
    type: list
    elements: path
    default: []
  lock_timeout:
    description: Seconds to wait for others who work on a table that is replaced.
    type: float
    default: 10
  timeout:
    description: Seconds for the load.
    type: float
    default: 86400
seealso:
  - module: relevo.postgres.pg_table_source
"""

EXAMPLES = r"""
- name: See what the primary has
  relevo.postgres.pg_table_target:
    database: shop
"""

RETURN = r"""
there:
  description: The databases and the schemas with their comments, the space, and publications of all tables.
  returned: O(state=looked)
  type: dict
already:
  description: Whether an earlier run has loaded it.
  returned: O(state=tried)
  type: bool
living:
  description: Those of the tables that are there now.
  returned: O(state=tried)
  type: list
  elements: str
text:
  description: What was done, in words.
  returned: O(state=loaded)
  type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._restore import tables, tables_check, tables_plan
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_target import Job, Target
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def refusals(target: Target, job: Job, looked: dict[str, Any], living: list[tables_check.Living]) -> list[str]:
    there = target.primary(job.wanted.database)
    found = tables_plan.named_already(job.wanted, there, job.destination, job.note)
    if job.wanted.replaces:
        found += tables_check.replace_refusals(job.found, living)
    room = tables_plan.room_refusal(there, looked["size"])
    return [*found, room] if room else found


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    target = Target(params["primary"])
    if params["state"] == "looked":
        return {"changed": False, "there": target.primary(params["database"]).as_dict()}
    wanted = tables.Wanted.given(params["database"], params["tables"], params["into"])
    looked = params["looked"]
    found = [tables_check.Table.from_dict(one) for one in looked["found"]]
    job = Job(wanted, found, looked["destination"], looked["note"], params["timeout"], params["lock_timeout"])
    there = target.primary(wanted.database)
    living = target.living(wanted.database, [one.table for one in found]) if wanted.replaces else []
    already = tables_plan.noted(wanted, there, job.destination) == job.note
    if params["state"] == "tried":
        why = [] if already else refusals(target, job, looked, living)
        if why:
            raise RelevoError(f"{' '.join(why)} None of it was touched.")
        if looked.get("definitions") and not already:
            target.try_definitions(job, looked["definitions"])
        return {"changed": False, "already": already, "living": [str(one.table) for one in living]}
    try:
        seconds = (
            0.0 if already else target.load(job, [Path(one) for one in params["archives"]], living, looked["source"])
        )
    finally:
        size = target.remove_archives()
    went = tables_check.keys_that_went(found, [str(one.table) for one in living]) if wanted.replaces else []
    lacking = target.lacking(wanted.database, went)
    where = params["primary"]
    text = tables_check.report(wanted, job.destination, found, looked["moment"], where, size, seconds, lacking)
    return {"changed": not already, "text": text}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["looked", "tried", "loaded"], "default": "looked"},
            "primary": {"type": "str", "default": "the primary"},
            "database": {"type": "str", "required": True},
            "tables": {"type": "list", "elements": "str", "default": []},
            "into": {"type": "str", "default": ""},
            "looked": {"type": "dict", "default": {}},
            "archives": {"type": "list", "elements": "path", "default": []},
            "lock_timeout": {"type": "float", "default": 10},
            "timeout": {"type": "float", "default": 86400},
        },
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
