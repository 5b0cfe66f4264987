#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a restore would do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_plan
short_description: Decide what a restore would do
version_added: 0.1.0
description:
  - Finds the timeline and the backup that lead to a target, and how much WAL, space and time that takes.
  - Refuses, with a sentence, a target that has not one meaning or cannot be reached. Changes nothing.
  - Runs on the host that would get the scratch instance.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
  - relevo.postgres.cluster.psycopg
options:
  target_type:
    description: What O(target) is. A time when it is empty.
    type: str
    default: ""
  target:
    description: The target. A time needs its zone.
    type: str
    default: ""
  label:
    description: The backup to begin with. The best one when empty.
    type: str
    default: ""
  timeline:
    description: The timeline to follow. That on which the servers were at the target when 0.
    type: int
    default: 0
  name:
    description: The scratch instance's name. Made of the target when empty.
    type: str
    default: ""
  purpose:
    description: What it is made for, a word at the end of a name that is made of the target.
    type: str
    default: ""
  directory:
    description: Where the scratch instances of this host are.
    type: path
    default: /var/lib/postgresql/scratch
  host:
    description: This host's name, for the plan.
    type: str
    default: the repository host
  container:
    description: Whether this host is a container of ours.
    type: bool
    default: false
  system_identifier:
    description: That of the cluster that runs. Empty where none answers.
    type: str
    default: ""
  read_only:
    description: Whether the instance refuses writes.
    type: bool
    default: false
  describe:
    description: Return refusals with the plan instead of failing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_scratch
"""

EXAMPLES = r"""
- name: Plan a restore
  relevo.postgres.pg_restore_plan:
    stanza: main
    target: 2026-11-25T12:00:00+01:00
  register: planned
"""

RETURN = r"""
plan:
  description: The backup (C(label)), the C(timeline), the C(version), and what it takes; null when it is refused.
  returned: success
  type: dict
name:
  description: The scratch instance's name.
  returned: success
  type: str
asked:
  description: What was asked for, by which a second run knows its own instance.
  returned: success
  type: dict
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
refusals:
  description: Why it would not be begun.
  returned: success
  type: list
  elements: str
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import FIRST
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._restore import facts, instance, scratch
from ansible_collections.relevo.postgres.plugins.module_utils._restore.describe import describe
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import Request, RestorePlan, decide
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import Repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


class Asked:
    """One question to this module."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.name = params["name"]
        self.asked: dict[str, Any] = {}
        self.repository: Repository | None = None

    def plan(self) -> RestorePlan:
        params = self.params
        target = parse(params["target_type"], params["target"])
        self.name = (
            scratch.given_name(params["name"])
            if params["name"]
            else scratch.checked_name(
                scratch.default_name(params["stanza"], target, params["label"], params["purpose"])
            )
        )
        self.asked = {
            "target_type": target.type,
            "target": target.value,
            "backup": params["label"],
            "timeline": params["timeline"],
            "read_only": params["read_only"],
            # An instance of the other one proves nothing of this one.
            **({} if params["repository"] == FIRST else {"repository": params["repository"]}),
        }
        self.repository = facts.read_repository(PgBackRest(params["stanza"], params["config"], params["repository"]))
        foreign = facts.foreign(self.repository.databases, params["system_identifier"])
        if foreign:
            raise RelevoError(foreign)
        files = Files(Path(params["directory"]), self.name)
        own = 0
        if files.note.exists():
            there = instance.look(files)
            if not instance.is_for(there, params["stanza"], self.asked):
                raise RelevoError(instance.conflict(there))
            own = there.size
            done = instance.planned(files)
            if done:
                # Its backup may have expired meanwhile.
                return done
        version = facts.version_of(self.repository.databases)
        own -= instance.owed(files)
        place = facts.place_of(params["host"], files.root, version, own, params["container"])
        request = Request(target, params["label"], params["timeline"])
        return decide(request, self.repository, place, datetime.now(UTC))


def work(module: AnsibleModule) -> dict[str, Any]:
    asked = Asked(module.params)
    refusals = []
    plan = None
    try:
        plan = asked.plan()
    except RelevoError as error:
        if not module.params["describe"]:
            raise RelevoError(f"{error.message} Nothing was touched.", **error.details) from None
        refusals = [error.message]
    shown = describe(plan, asked.repository, module.params["stanza"], module.params["host"], asked.name, refusals)
    return {
        "changed": False,
        "plan": plan.as_dict() if plan else None,
        "name": asked.name,
        "asked": asked.asked,
        "operation_plan": shown.as_dict(),
        "refusals": refusals,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "target_type": {"type": "str", "default": ""},
            "target": {"type": "str", "default": ""},
            "label": {"type": "str", "default": ""},
            "timeline": {"type": "int", "default": 0},
            "name": {"type": "str", "default": ""},
            "purpose": {"type": "str", "default": ""},
            "directory": {"type": "path", "default": str(_names.SCRATCH_DIR)},
            "host": {"type": "str", "default": "the repository host"},
            "container": {"type": "bool", "default": False},
            "system_identifier": {"type": "str", "default": ""},
            "read_only": {"type": "bool", "default": False},
            "describe": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
