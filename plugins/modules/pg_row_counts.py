#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count rows on the primary, at a position to which one can restore."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_row_counts
short_description: Count rows on the primary, at a position to which one can restore
version_added: 0.1.0
description:
  - Counts the rows of tables in one snapshot, taken at a moment at which nobody writes, and waits until the WAL up
    to there is
    in the archive.
  - A primary under constant load may not have such a moment. Then the snapshot is taken under a C(SHARE) lock on these
    tables, which is gone before they are counted. Their writers wait half a second at most at each attempt, every five
    seconds.
  - Where that lock cannot be had either, it counts nothing, and says so in RV(uncounted); that is not a failure.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.psycopg
  - relevo.postgres.repository
attributes:
  check_mode:
    support: full
    details: Counts nothing in check mode.
  diff_mode:
    support: none
options:
  database:
    description: The database.
    type: str
    required: true
  tables:
    description: Its tables, as they are written in SQL.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait for that moment, again for the lock, and again for the archive.
    type: float
    default: 60
seealso:
  - module: relevo.postgres.pg_drill
"""

EXAMPLES = r"""
- name: Count the orders
  relevo.postgres.pg_row_counts:
    database: shop
    tables: [public.orders]
"""

RETURN = r"""
lsn:
  description: A restore that stops before the record at this position has exactly these rows. Empty when uncounted.
  returned: outside of check mode
  type: str
timeline:
  description: The timeline that RV(lsn) is on.
  returned: outside of check mode
  type: int
counts:
  description: The rows of each table.
  returned: outside of check mode
  type: dict
uncounted:
  description: Why they could not be counted, as a sentence; empty when they were.
  returned: outside of check mode
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._restore.drill_run import (
    NotCountedError,
    count_at_a_position,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def work(module: AnsibleModule) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": False}
    params = module.params
    with Session.local(params["database"]) as session:
        try:
            found = count_at_a_position(session, params["tables"], params["timeout"], params["repository"])
        except NotCountedError as error:
            return {"changed": False, "lsn": "", "timeline": 0, "counts": {}, "uncounted": error.message}
    # It began a new segment.
    return {"changed": True, "lsn": found.lsn, "timeline": found.timeline, "counts": found.counts, "uncounted": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True},
            "tables": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "float", "default": 60},
            "repository": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
