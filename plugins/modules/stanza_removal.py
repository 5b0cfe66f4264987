#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stanza_removal
short_description: Remove all that the repository host and the catalog hold of a cluster
version_added: 0.1.0
description:
  - Runs on the repository host, after the cluster's servers were removed. Deletes the stanza with its backups and its
    archive, the catalog's records and indexes, the records of fences and of a restore in place, and the stanza's logs
    and locks.
  - With O(backups=keep) the stanza and the catalog stay, and the rest goes.
  - In check mode it only says what is there.
  - Can be killed at any moment and run again.
author: The Relevo authors (@relevo)
requirements:
  - redis (Python package)
attributes:
  action_group:
    description: Use C(group/relevo.postgres.redis) and C(group/relevo.postgres.pgbackrest) in C(module_defaults).
    support: full
    membership:
      - relevo.postgres.redis
      - relevo.postgres.pgbackrest
  check_mode:
    support: full
    details: Says what there is.
  diff_mode:
    support: none
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.redis
  - relevo.postgres.pgbackrest
options:
  nodes:
    description: Names of the cluster's servers.
    type: list
    elements: str
    required: true
  backups:
    description: What becomes of the backups.
    type: str
    choices: [keep, delete]
    default: keep
  catalog:
    description: Whether there is a catalog to remove records from.
    type: bool
    default: true
  remove_timeout:
    description: Seconds that one of pgBackRest's commands may take.
    type: float
    default: 3600
seealso:
  - module: relevo.postgres.cluster_removal_plan
  - module: relevo.postgres.backup_cleanup
"""

EXAMPLES = r"""
- name: Delete the backups of a cluster that is gone
  relevo.postgres.stanza_removal:
    stanza: main
    nodes: [db1, db2]
    backups: delete
    host: redis
    password: "{{ catalog_redis_password }}"
"""

RETURN = r"""
backups:
  description: Labels of the backups that there are, or were.
  returned: success
  type: list
  elements: str
configured:
  description: Whether pgBackRest is configured on this host. Where it is not, nobody is asked.
  returned: success
  type: bool
exists:
  description: Whether the repository has, or had, the stanza.
  returned: success
  type: bool
pieces:
  description: Whether files of a deletion that was cut off are, or were, left.
  returned: success
  type: bool
needed:
  description: Why a backup must stay, by label.
  returned: success
  type: dict
others:
  description: The other stanzas of the repository.
  returned: success
  type: list
  elements: str
running:
  description: How far a backup is that runs now; empty when there is none.
  returned: success
  type: str
actions:
  description: What was removed.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    connected,
    connection_spec,
    forget,
)
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.forget import (
    delete_stanza,
    forget_cluster,
    held,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    pgbackrest = PgBackRest(params["stanza"], params["config"])
    found = held(pgbackrest)
    if module.check_mode:
        return {"changed": params["backups"] == "delete" and found["exists"], "actions": [], **found}
    actions = []
    if params["backups"] == "delete":
        # The records first: without their backups they would be orphans, and nobody would come back for them.
        if params["catalog"]:
            with connected(params) as client:
                actions += forget(client, params["stanza"])
        if found["exists"] or found["pieces"]:
            delete_stanza(pgbackrest, params["remove_timeout"])
            actions.append(f"the stanza {params['stanza']}")
    actions += forget_cluster(pgbackrest, params["nodes"], everything=params["backups"] == "delete")
    return {"changed": bool(actions), "actions": actions, **found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_spec(),
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "nodes": {"type": "list", "elements": "str", "required": True},
            "backups": {"type": "str", "choices": ["keep", "delete"], "default": "keep"},
            "catalog": {"type": "bool", "default": True},
            "remove_timeout": {"type": "float", "default": 3600},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
