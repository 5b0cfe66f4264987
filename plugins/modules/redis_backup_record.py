#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the records of a repository's backups to the catalog in Redis."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_backup_record
short_description: Record pgBackRest's backups in Redis
version_added: 0.1.0
description:
  - Makes the catalog in Redis equal to the backups that a pgBackRest repository holds.
  - Each record is a hash, computed from the output of C(pgbackrest info --output=json) alone, so a lost catalog is
    made again with the same fields and values.
  - All changes of a call are one transaction. A sorted set beside the records indexes them.
  - Records of other origin are counted and left alone.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.redis
  - relevo.postgres.repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the changed records before and after.
options:
  state:
    description:
      - V(synced) records every backup in O(backups) and removes the records whose backup is not among them.
      - V(present) records O(backups) and leaves all other records alone.
      - V(absent) removes the records at O(keys), or of O(backups) when no keys are given.
    type: str
    choices: [synced, present, absent]
    default: synced
  stanza:
    description: The stanza that the backups belong to.
    type: str
    default: main
  repo_path:
    description: The repository's path, of which a record's C(direccion_almacenamiento) is made.
    type: path
    default: /var/lib/pgbackrest
  backups:
    description:
      - The backups, each as it stands in RV(ignore:backup) of C(pgbackrest info --output=json).
      - Required for V(state=synced) and V(state=present). An empty list with V(state=synced) empties the catalog.
    type: list
    elements: dict
  databases:
    description: The list C(db) of the same output, which knows the system identifiers.
    type: list
    elements: dict
    default: []
  keys:
    description: Keys of the records to remove, for V(state=absent).
    type: list
    elements: str
  search:
    description:
      - Whether to search the keyspace for records although there is an index.
      - Finds what the former scripts wrote since the index was made. Takes a walk over all keys of the database.
    type: bool
    default: false
  only_repository:
    description: Whether there is no other repository, so that the records of one that there was before go.
    type: bool
    default: false
notes:
  - A record of the scripts that this collection replaces is taken over. When it knows the primary of a backup that
    has no annotation, it is kept and named in RV(adoptable), since the repository has to learn that first.
seealso:
  - module: relevo.postgres.redis_backup_info
"""

EXAMPLES = r"""
- name: Read what the repository holds
  relevo.postgres.pgbackrest_info:
    stanza: main
  register: repository

- name: Bring the catalog up to it
  relevo.postgres.redis_backup_record:
    host: redis
    password: "{{ catalog_redis_password }}"
    stanza: main
    backups: "{{ repository.backups }}"
  register: catalog

- name: Remove the records whose backup is gone
  relevo.postgres.redis_backup_record:
    host: redis
    password: "{{ catalog_redis_password }}"
    state: absent
    keys: "{{ catalog.orphans }}"
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
written:
  description: Keys of the records that were written, the newest first.
  type: list
  elements: str
  returned: when Redis could be used
removed:
  description: Keys of the records that were removed.
  type: list
  elements: str
  returned: when Redis could be used
orphans:
  description: Keys of records of the old scripts whose backup is gone. They are kept.
  type: list
  elements: str
  returned: when Redis could be used
foreign:
  description: Keys of records that are not ours. They are left alone.
  type: list
  elements: str
  returned: when Redis could be used
adoptable:
  description: Records that know the primary of a backup without annotation. They are kept until it is annotated.
  type: list
  elements: dict
  returned: when Redis could be used
  contains:
    key:
      description: Key of the record.
      type: str
    label:
      description: Label of the backup.
      type: str
    primary:
      description: Name of the primary that was backed up.
      type: str
total:
  description: How many records the catalog holds for this stanza, orphans included; in check mode those of before.
  type: int
  returned: when Redis could be used
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.arguments import connection_spec
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import (
    Plan,
    catalog_name,
    desired_records,
    index_for,
    key_for,
    newest_first,
)
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    RedisError,
    connected,
    forget_left,
    remove_records,
    synchronise,
)
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module


def diff_of(plan: Plan, existing: dict[str, Any]) -> dict[str, Any]:
    changed = newest_first([*plan.write, *plan.delete])
    return {
        "before_header": "catalog",
        "after_header": "catalog",
        "before": {key: existing[key] for key in changed if key in existing},
        "after": {key: plan.write[key] for key in changed if key in plan.write},
    }


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    stanza, backups = catalog_name(params["stanza"], params["repository"]), params["backups"] or []
    write = not module.check_mode
    try:
        with connected(params) as client:
            if params["state"] == "absent":
                keys = params["keys"] or [key_for(backup["label"], stanza) for backup in backups]
                plan, existing = remove_records(client, stanza, keys, write)
            else:
                desired = desired_records(backups, stanza, params["repo_path"], params["databases"])
                prune = params["state"] == "synced"
                plan, existing = synchronise(client, stanza, desired, write, params["search"], prune)
            left = forget_left(client, params["stanza"], write) if params["only_repository"] else []
            total = client.zcard(index_for(stanza))
    except RedisError as error:
        if params["unreachable"] == "fail":
            raise
        return {"changed": False, "reachable": False, "reason": error.message, "kind": error.kind, **error.details}
    if plan.blocked:
        module.warn(f"Not recorded, because something else has their key: {', '.join(plan.blocked)}.")
    return {
        "changed": bool(plan.write or plan.delete or left),
        "reachable": True,
        "written": newest_first(plan.write),
        "removed": [*newest_first(plan.delete), *left],
        "orphans": newest_first(plan.orphans),
        "foreign": sorted(plan.foreign),
        "adoptable": [
            {"key": key, "label": label, "primary": primary} for key, (label, primary) in plan.adoptable.items()
        ],
        "total": total,
        "diff": diff_of(plan, existing),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_spec(),
            "state": {"type": "str", "choices": ["synced", "present", "absent"], "default": "synced"},
            "stanza": {"type": "str", "default": "main"},
            "repository": {"type": "int", "default": 1},
            "repo_path": {"type": "path", "default": str(_names.REPOSITORY_DIR)},
            "backups": {"type": "list", "elements": "dict"},
            "databases": {"type": "list", "elements": "dict", "default": []},
            "keys": {"type": "list", "elements": "str", "no_log": False},
            "search": {"type": "bool", "default": False},
            "only_repository": {"type": "bool", "default": False},
        },
        required_if=[
            ("state", "synced", ["backups"]),
            ("state", "present", ["backups"]),
            ("state", "absent", ["backups", "keys"], True),
        ],
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
