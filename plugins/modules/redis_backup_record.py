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
  - relevo.postgres.attributes.action
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
  config:
    description: pgBackRest's configuration file on the host that runs the module, for where it is asked.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
  repo_path:
    description: The repository's path, of which a record's C(direccion_almacenamiento) is made.
    type: path
    default: /var/lib/pgbackrest
  backups:
    description:
      - The backups, each as it stands in RV(ignore:backup) of C(pgbackrest info --output=json).
      - Required for V(state=present). With V(state=synced) an empty list empties the catalog, and without this option
        pgBackRest is asked on the host that runs the module, for O(databases) as well.
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

- name: The same, where the module runs on the repository host
  relevo.postgres.redis_backup_record:
    host: redis
    password: "{{ catalog_redis_password }}"
    stanza: main

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

from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import record_spec
from ansible_collections.relevo.postgres.plugins.module_utils._backup.record import record
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import IMPORT_ERROR
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module


def work(module: AnsibleModule) -> dict[str, Any]:
    result = record(module.params, module.check_mode)
    for message in result.pop("warnings", []):
        module.warn(message)
    return result


def main() -> None:
    module = AnsibleModule(**record_spec(), supports_check_mode=True)
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
