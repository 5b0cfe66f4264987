#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a stanza and prove that its primary archives."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_stanza
short_description: Create a stanza, and prove that archiving works
version_added: 0.1.0
description:
  - Creates the stanza in each repository where it is missing, and verifies that it belongs to the cluster that answers.
  - With O(state=checked) the primary switches its WAL segment, and the module waits until the repository has it.
  - Runs on the repository host. Servers that do not answer are left out, so a standby that is down costs nothing.
  - Of two repositories each is looked at by itself. One that fails while the other one works is named in a warning and
    in RV(away), and the module succeeds; it fails where no repository works.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.pgbackrest
attributes:
  check_mode:
    support: full
    details: Says whether the stanza would be created.
  diff_mode:
    support: none
options:
  state:
    description:
      - V(present) creates the stanza where it is missing.
      - V(checked) does that too, and then proves that WAL arrives in the repository. In check mode nothing is proven.
    type: str
    choices: [present, checked]
    default: present
  timeout:
    description: Seconds that a WAL segment may take to arrive, and another pgBackRest command to give its lock back.
    type: float
    default: 60
  connect_timeout:
    description: Seconds after which a server that does not answer is left out. All are asked at once.
    type: float
    default: 5
  unreachable:
    description: Addresses of servers that are known not to answer; they are left out without being asked.
    type: list
    elements: str
    default: []
  upgrade:
    description:
      - Go on with another cluster than the stanza has had. What the repository holds of the old one expires like any
        other backup, and cannot be restored to the new one.
    type: bool
    default: false
  second_mount:
    description:
      - Where a file system must be mounted before the stanza is created in a second repository; empty for none.
      - Where it is left out, a second repository without the stanza is away, since it may be the empty place of a disk.
    type: str
"""

EXAMPLES = r"""
- name: Create the stanza and prove that archiving works
  relevo.postgres.pgbackrest_stanza:
    stanza: main
    state: checked
"""

RETURN = r"""
unreachable_nodes:
  description: Addresses of the servers that did not answer and were left out.
  returned: success
  type: list
  elements: str
repositories:
  description: The numbers of the repositories that this host is configured for.
  returned: success
  type: list
  elements: int
away:
  description: The repositories of several that do not work, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 2, reason: "pgbackrest check of stanza main failed with [049]"}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import OTHERS_PUSH
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import each_that_answers
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import FIRST, repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    STATUS_NO_BACKUP,
    STATUS_NO_STANZA,
    STATUS_OK,
    PgBackRest,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import require_mounted


def bring(module: AnsibleModule, repository: int, options: list[str], count: int) -> bool:
    """Have one of ``count`` repositories hold a stanza that works; returns whether it was missing."""
    params = module.params
    # With another one that is away, a server that pushes leaves the lock for a moment only, between its attempts.
    patience = max(params["timeout"], OTHERS_PUSH) if count > 1 else params["timeout"]
    pgbackrest = PgBackRest(params["stanza"], params["config"], repository)
    # pgBackRest's stanza-create says nothing about whether it had something to do.
    status = pgbackrest.info()["status"]["code"]
    if status == STATUS_NO_STANZA and repository != FIRST:
        if params["second_mount"] is None:
            raise RelevoError(
                f"It has no stanza {params['stanza']}. Look whether its disk is mounted; otherwise run site.yml, which "
                "creates the stanza."
            )
        require_mounted(params["second_mount"])
    if not module.check_mode:
        # It wants the lock of a backup, so for as long as one runs it would fail. The check tells as much of a stanza.
        if params["state"] == "present" or status not in (STATUS_OK, STATUS_NO_BACKUP):
            pgbackrest.run_when_free("stanza-create", *options, timeout=patience)
        if params["upgrade"] and status != STATUS_NO_STANZA:
            pgbackrest.run_when_free("stanza-upgrade", *options, timeout=patience)
        if params["state"] == "checked":
            # One that hangs holds the other one up for a while; see the timeout of archive-push in pgbackrest.conf.j2.
            pgbackrest.prove_archiving(options, params["timeout"] * count)
    return bool(status == STATUS_NO_STANZA)


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    options, unreachable = PgBackRest(params["stanza"], params["config"]).reachable(
        params["connect_timeout"], params["unreachable"]
    )
    numbers = repositories(Path(params["config"]))
    created, away = each_that_answers(
        params["stanza"], numbers, lambda number: bring(module, number, options, len(numbers)), params["config"]
    )
    for one in away:
        module.warn(f"{one.sentence} The other one works.")
    return {
        "changed": any(created.values()),
        "unreachable_nodes": unreachable,
        "repositories": numbers,
        "away": [one.as_dict() for one in away],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "state": {"type": "str", "choices": ["present", "checked"], "default": "present"},
            "timeout": {"type": "float", "default": 60},
            "connect_timeout": {"type": "float", "default": 5},
            "unreachable": {"type": "list", "elements": "str", "default": []},
            "upgrade": {"type": "bool", "default": False},
            "second_mount": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
