#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a backup restores."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_drill
short_description: Prove that a backup restores
version_added: 0.1.0
description:
  - Restores a backup beside the cluster, replays all archived WAL, checks heaps and indexes with C(pg_amcheck) and
    your own
    queries, and removes it again.
  - A backup that does not restore is a result (RV(passed)), not a failure of this task. It fails where nothing can
    be said
    of the backup, as without space.
  - Runs on the host that gets the scratch instance.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Returns the plan, and restores nothing.
  diff_mode:
    support: none
options:
  label:
    description: The backup, or V(newest), or V(random), which is one of the O(last) ones.
    type: str
    default: newest
  last:
    description: Of how many backups V(random) takes one.
    type: int
    default: 10
  checks:
    description:
      - Queries, each with the C(database), the C(query) and what its first value must be (C(expect)), as PostgreSQL
        prints it.
        A C(name) stands for the query in messages.
    type: list
    elements: dict
    default: []
  lsn:
    description: Replay up to here. To the end of the archive when empty.
    type: str
    default: ""
  timeline:
    description: The timeline of O(lsn). The newest one that has it when 0.
    type: int
    default: 0
  rpo_s:
    description: RV(rpo_s) of an earlier call, where the archive was added to since then. Measured when omitted.
    type: float
  preload:
    description: The C(shared_preload_libraries) that the data need, as PostgreSQL writes the list.
    type: str
    default: ""
  database:
    description: The database of O(counts).
    type: str
    default: ""
  counts:
    description: How many rows tables must have, as M(relevo.postgres.pg_row_counts) returns them with O(lsn).
    type: dict
    default: {}
  uncounted:
    description: Why there are no O(counts), where tables were to be counted. It is told with the result.
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
  process_max:
    description: Number of pgBackRest's processes, and of pg_amcheck's connections.
    type: int
    default: 1
  nice:
    description: By how much the priority is lowered.
    type: int
    default: 10
  timeout:
    description: Seconds for each of its parts.
    type: float
    default: 86400
  describe:
    description: Return the plan, with refusals instead of a failure, and restore nothing.
    type: bool
    default: false
seealso:
  - module: relevo.postgres.pg_scratch
"""

EXAMPLES = r"""
- name: Try the newest backup
  relevo.postgres.pg_drill:
    stanza: main
    checks:
      - {database: shop, query: SELECT count(*) > 1000 FROM orders, expect: "t"}
"""

RETURN = r"""
label:
  description: The backup that was tried.
  returned: success
  type: str
name:
  description: The scratch instance that is made for it.
  returned: success
  type: str
operation_plan:
  description: The plan as docs/reference/plan.md describes it.
  returned: success
  type: dict
rpo_s:
  description: How old the newest archived WAL was, in seconds; null when that is not known.
  returned: success
  type: float
passed:
  description: Whether it restores, and nothing was found in it.
  returned: when it was tried
  type: bool
failures:
  description: What was found, in sentences.
  returned: when it was tried
  type: list
  elements: str
annotations:
  description: The result as the backup's annotations.
  returned: when it was tried
  type: dict
text:
  description: The result in words.
  returned: when it was tried
  type: str
"""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import config_of
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._restore import drill, drill_run, facts, instance
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import Request, RestorePlan, decide
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import BrokenWayError, Repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


class Drill:
    """One drill of this module: the backup, the plan, or what is wrong with the backup before it is restored."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.files = Files(Path(params["directory"]), drill_run.name_for(params["stanza"]))
        self.label = ""
        self.checks = [drill.Check.of(one) for one in params["checks"]]
        self.target = parse("lsn", params["lsn"]) if params["lsn"] else parse("latest", "")

    def plan(self) -> tuple[RestorePlan | None, drill.Result]:
        now = datetime.now(UTC)
        repository = facts.read_repository(
            PgBackRest(self.params["stanza"], self.params["config"], self.params["repository"])
        )
        backups = drill.candidates(repository.backups, repository.databases)
        leading = drill.to_the_newest(backups, repository)
        backup = drill.choose(backups, self.params["label"], self.params["last"], random.choice, leading)
        self.label = str(backup["label"])
        result = drill.Result(self.label, now.isoformat(timespec="seconds").replace("+00:00", "Z"))
        if backup.get("error"):
            result = self._red(result, "pgBackRest found pages with a wrong checksum when the backup was taken.")
            # It is tried all the same, though no restore would choose it: pg_amcheck names the table.
            backups = [dict(one, error=False) if one["label"] == self.label else one for one in repository.backups]
            repository = replace(repository, backups=backups)
        try:
            plan = self._planned(repository, now)
            until = repository.until(repository.branch(plan.timeline))
            given = self.params["rpo_s"]
            return plan, replace(result, rpo_s=drill_run.age_of(until, now) if given is None else given)
        except BrokenWayError as error:
            return None, self._red(result, error.message)

    def _planned(self, repository: Repository, now: datetime) -> RestorePlan:
        version = facts.version_of(repository.databases)
        own = instance.tree_size(self.files.home) - instance.owed(self.files)
        place = facts.place_of(self.params["host"], self.files.root, version, own, self.params["container"])
        return decide(Request(self.target, self.label, self.params["timeline"]), repository, place, now)

    def _red(self, result: drill.Result, why: str) -> drill.Result:
        return replace(result, failures=[*result.failures, why])

    def carry_out(self, plan: RestorePlan, result: drill.Result) -> drill.Result:
        params = self.params
        order = instance.Order(
            params["stanza"],
            plan.target,
            plan.label,
            plan.timeline,
            plan.version,
            {"drill": plan.label},
            preload=params["preload"],
            process_max=params["process_max"],
            nice=params["nice"],
            timeout=params["timeout"],
            position=params["lsn"],
            at_least=plan.at_least,
            plan=plan.as_dict(),
        )
        looks = drill_run.Looks(self.checks, params["database"], params["counts"], params["process_max"])
        return drill_run.carry_out(
            self.files, order, looks, result, config_of(params["repository"], Path(params["config"]))
        )


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    asked = Drill(params)
    plan, result, refusals = None, None, []
    try:
        plan, result = asked.plan()
    except RelevoError as error:
        if not params["describe"]:
            raise RelevoError(f"{error.message} Nothing was touched.", **error.details) from None
        refusals = [error.message]
    shown = drill.describe_drill(params["stanza"], params["host"], asked.label, plan, refusals)
    answer = {
        "changed": False,
        "label": asked.label,
        "name": asked.files.name,
        "operation_plan": shown.as_dict(),
        "rpo_s": result.rpo_s if result else None,
    }
    if params["describe"] or module.check_mode or result is None:
        return answer
    if plan is not None:
        result = replace(result, notes=[params["uncounted"]] if params["uncounted"] else [])
        result = asked.carry_out(plan, result)
    return answer | {
        "changed": True,
        "passed": result.passed,
        "failures": result.failures,
        "annotations": result.annotations(),
        "text": drill.report(result, params["stanza"]),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "label": {"type": "str", "default": "newest"},
            "last": {"type": "int", "default": 10},
            "checks": {"type": "list", "elements": "dict", "default": []},
            "lsn": {"type": "str", "default": ""},
            "timeline": {"type": "int", "default": 0},
            "rpo_s": {"type": "float"},
            "preload": {"type": "str", "default": ""},
            "database": {"type": "str", "default": ""},
            "counts": {"type": "dict", "default": {}},
            "uncounted": {"type": "str", "default": ""},
            "directory": {"type": "path", "default": str(_names.SCRATCH_DIR)},
            "host": {"type": "str", "default": "the repository host"},
            "container": {"type": "bool", "default": False},
            "process_max": {"type": "int", "default": 1},
            "nice": {"type": "int", "default": 10},
            "timeout": {"type": "float", "default": 86400},
            "describe": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
