#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the records of the catalog in Redis."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_backup_info
short_description: List the backups recorded in Redis
version_added: 0.1.0
description:
  - Returns the records of a stanza's backups, the newest first, and says of each whose it is.
  - Reads the index beside the records. Only where there is none yet is the keyspace searched.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.redis
options:
  stanza:
    description: The stanza whose records are listed.
    type: str
    default: main
  labels:
    description:
      - Labels of the backups that the repository holds.
      - A record whose backup is not among them is an orphan. Without this option no record is.
    type: list
    elements: str
  limit:
    description: How many of the newest records to return; 0 means all.
    type: int
    default: 0
  search:
    description:
      - Whether to search the keyspace for records although there is an index.
      - Finds what the former scripts wrote since the index was made. Takes a walk over all keys of the database.
    type: bool
    default: false
  wait:
    description: Seconds to go on asking while Redis does not answer. A refusal is never waited for.
    type: float
    default: 0
seealso:
  - module: relevo.postgres.redis_backup_record
"""

EXAMPLES = r"""
- name: List the catalog
  relevo.postgres.redis_backup_info:
    host: redis
    password: "{{ catalog_redis_password }}"
    stanza: main
    labels: "{{ repository.backups | map(attribute='label') }}"
  register: catalog
"""

RETURN = r"""
reachable:
  description: Whether Redis could be used; false only with O(unreachable=report).
  type: bool
  returned: always
reason:
  description: The sentence that says why Redis could not be used.
  type: str
  returned: when RV(reachable) is false
kind:
  description:
    - V(unavailable) when the failure may pass by itself, for example a stopped, hanging or full server.
    - V(refused) when it does not, for example a wrong password.
  type: str
  returned: when RV(reachable) is false
records:
  description: The records, the newest first.
  type: list
  elements: dict
  returned: when Redis could be used
  contains:
    key:
      description: The record's key.
      type: str
    status:
      description: V(recorded), V(orphan) when its backup is gone, or V(foreign) when it is not ours.
      type: str
    record:
      description: Fields and values as they are in Redis; empty for a key that is no hash.
      type: dict
indexed:
  description: Whether the index knew the records. When it did not, they were searched for.
  type: bool
  returned: when Redis could be used
total:
  description: How many records the stanza has, whatever O(limit) says; foreign ones are not counted.
  type: int
  returned: when Redis could be used
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.arguments import connection_spec
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import Record, newest_first, status_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    Known,
    RedisError,
    connected,
    known_keys,
    patiently,
    read_records,
)
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    labels = None if params["labels"] is None else set(params["labels"])

    def look() -> tuple[Known, dict[str, Record | None]]:
        with connected(params) as client:
            known = known_keys(client, params["stanza"], params["search"])
            return known, read_records(client, [*known.mine[: params["limit"] or None], *known.foreign])

    try:
        known, found = patiently(look, params["wait"])
    except RedisError as error:
        if params["unreachable"] == "fail":
            raise
        return {"changed": False, "reachable": False, "reason": error.message, "kind": error.kind, **error.details}
    return {
        "changed": False,
        "reachable": True,
        "records": [
            {
                "key": key,
                "status": status_of(key, found[key], params["stanza"], labels),
                "record": found[key] or {},
            }
            for key in newest_first(found)
        ],
        "indexed": bool(known.indexed),
        "total": len(known.mine),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_spec(),
            "stanza": {"type": "str", "default": "main"},
            "labels": {"type": "list", "elements": "str"},
            "limit": {"type": "int", "default": 0},
            "search": {"type": "bool", "default": False},
            "wait": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
