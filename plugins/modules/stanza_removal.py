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
  description:
    - The other stanzas of the repository. Of two, those in the bucket of the second one do not count, since they are
      not on this host.
  returned: success
  type: list
  elements: str
running:
  description: How far a backup is that runs now; empty when there is none.
  returned: success
  type: str
second:
  description: Labels of those of RV(backups) that are in a second repository.
  returned: success
  type: list
  elements: str
away:
  description:
    - Of two repositories those that do not answer (C(repository), C(reason)). What they hold is not known, and
      O(backups=delete) is refused.
  returned: success
  type: list
  elements: dict
actions:
  description: What was removed.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.arguments import connection_spec
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    connected,
    forget,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, each_that_answers
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import (
    FIRST,
    config_of,
    repositories,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.forget import (
    delete_stanza,
    forget_cluster,
    held,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    PgBackRest,
    repository_directory,
)


def all_held(params: dict[str, Any]) -> tuple[dict[int, dict[str, Any]], list[Away]]:
    """What each repository holds, by number, and those that do not answer."""
    stanza, config = params["stanza"], params["config"]
    numbers = repositories(Path(config))
    return each_that_answers(stanza, numbers, lambda number: held(PgBackRest(stanza, config, number)), config)


def on_this_host(config: Path, number: int) -> bool:
    """Whether what a repository holds goes with this host; of the first one alone as its owner has it."""
    if number == FIRST:
        return True
    try:
        repository_directory(config_of(number, config).read_text())
    except RelevoError:
        return False
    return True


def together(found: dict[int, dict[str, Any]], config: Path) -> dict[str, Any]:
    """What there is of the stanza, wherever it is."""
    every = list(found.values())
    here = [one for number, one in found.items() if on_this_host(config, number)]
    return {
        "configured": any(one["configured"] for one in every),
        "backups": sorted({label for one in every for label in one["backups"]}),
        "exists": any(one["exists"] for one in every),
        "pieces": any(one["pieces"] for one in every),
        "needed": {label: why for one in every for label, why in one["needed"].items()},
        "others": sorted({name for one in here for name in one["others"]}),
        "running": next((one["running"] for one in every if one["running"]), ""),
        "second": [label for number, one in found.items() if number != FIRST for label in one["backups"]],
    }


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    each_held, away = all_held(params)
    found = together(each_held, Path(params["config"])) | {"away": [one.as_dict() for one in away]}
    if away and params["backups"] == "delete":
        raise RelevoError(f"{away[0].sentence} Nothing was removed. Bring it back first, or keep the backups.")
    if module.check_mode:
        return {"changed": params["backups"] == "delete" and found["exists"], "actions": [], **found}
    actions = []
    if params["backups"] == "delete":
        # The records first: without their backups they would be orphans, and nobody would come back for them.
        if params["catalog"]:
            with connected(params) as client:
                actions += forget(client, params["stanza"])
        for number, there in each_held.items():
            if there["exists"] or there["pieces"]:
                delete_stanza(PgBackRest(params["stanza"], params["config"], number), params["remove_timeout"])
                where = "" if number == FIRST else f" in repository {number}"
                actions.append(f"the stanza {params['stanza']}{where}")
    pgbackrest = PgBackRest(params["stanza"], params["config"])
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
