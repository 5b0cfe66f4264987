#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take tables, or a database, out of a scratch instance."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_table_source
short_description: Take tables, or a database, out of a scratch instance
version_added: 0.1.0
description:
  - Looks at tables of a scratch instance with all that belongs to them, and refuses what cannot be restored by itself.
  - With O(state=taken) it dumps them with C(pg_dump) into the instance's directory.
  - What it changes in the scratch instance for that is put back, by the next run where it was killed.
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
  name:
    description: The scratch instance.
    type: str
    required: true
  directory:
    description: Where the scratch instances of this host are.
    type: path
    default: /var/lib/postgresql/scratch
  state:
    description: V(looked) returns what they are, V(taken) dumps them.
    type: str
    choices: [looked, taken]
    default: looked
  database:
    description: The database.
    type: str
    required: true
  tables:
    description: The tables, as C(schema.table), with double quotes where SQL needs them. The whole database when empty.
    type: list
    elements: str
    default: []
  into:
    description: V(original), or the name of the schema or database to be made. Made of the moment when empty.
    type: str
    default: ""
  living:
    description: Those of the tables that the primary has, with O(into=original); of them only the rows are dumped.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds for each step.
    type: float
    default: 86400
seealso:
  - module: relevo.postgres.pg_scratch
  - module: relevo.postgres.pg_table_target
"""

EXAMPLES = r"""
- name: Look at a table of a scratch instance
  relevo.postgres.pg_table_source:
    name: main_20261125_110000
    database: shop
    tables: [public.orders]
"""

RETURN = r"""
found:
  description: The tables with their partitions, columns, owners, sizes and rows.
  returned: success
  type: list
  elements: dict
source:
  description: The database, as C(pg_database) has it.
  returned: success
  type: dict
destination:
  description: The name of the schema or database to be made; empty with O(into=original).
  returned: success
  type: str
note:
  description: The comment that it gets.
  returned: success
  type: str
moment:
  description: The moment in words.
  returned: success
  type: str
size:
  description: Bytes of the tables, or of the database, with their indexes.
  returned: success
  type: int
definitions:
  description: The SQL that makes the tables without their rows, to be tried.
  returned: O(state=looked), with O(tables), not with O(into=original)
  type: str
archives:
  description: The archives.
  returned: O(state=taken)
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._restore import instance, tables, tables_check
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files, checked_name
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_source import Source, room
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def archives_of(
    source: Source, wanted: tables.Wanted, found: list[tables_check.Table], living: list[str], to: str
) -> list[Path]:
    if not wanted.tables:
        return [source.dump_database()]
    if not wanted.replaces:
        return [source.dump_into(found, to)]
    there, gone = tables_check.parted(found, living)
    taken = [source.dump_rows(there)] if there else []
    return [*taken, source.dump_whole(gone)] if gone else taken


def answer(source: Source, wanted: tables.Wanted, params: dict[str, Any]) -> dict[str, Any]:
    database = source.require_database()
    found = source.tables(wanted.tables)
    why = tables_check.source_refusals(wanted, found)
    if why:
        raise RelevoError(f"{' '.join(why)} The primary was not touched.")
    there = source.there
    destination = wanted.destination(tables.stamp_of(there.request, there.reached))
    moment = tables.moment_of(there.request, there.reached)
    size = sum(one.size for one in found) if wanted.tables else int(database["size"])
    result: dict[str, Any] = {
        "changed": False,
        "source": database,
        "destination": destination,
        "moment": moment,
        "note": wanted.note(moment),
        "size": size,
    }
    if params["state"] == "looked":
        found = source.counted(found)
        if wanted.tables and not wanted.replaces:
            result["definitions"] = source.definitions(found, destination)
    else:
        room(source.files, size)
        taken = archives_of(source, wanted, found, params["living"], destination)
        result["archives"] = [str(path) for path in taken]
    return result | {"found": [one.as_dict() for one in found]}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    wanted = tables.Wanted.given(params["database"], params["tables"], params["into"])
    files = Files(Path(params["directory"]), checked_name(params["name"]))
    if not files.outcome.exists():
        raise RelevoError(f"There is no scratch instance {files.name} on this host that has reached its target.")
    version = (files.data / "PG_VERSION").read_text().strip()
    with instance.held(files, params["timeout"]) as lock:
        return answer(Source(files, wanted.database, version, lock, params["timeout"]), wanted, params)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path", "default": str(_names.SCRATCH_DIR)},
            "state": {"type": "str", "choices": ["looked", "taken"], "default": "looked"},
            "database": {"type": "str", "required": True},
            "tables": {"type": "list", "elements": "str", "default": []},
            "into": {"type": "str", "default": ""},
            "living": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 86400},
        },
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
