#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove backups, and records of the catalog that have none."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_cleanup
short_description: Remove backups and orphaned records
version_added: 0.1.0
description:
  - Decides what an operation removes, says so as a plan, and removes it. Runs on the repository host.
  - A backup that is pinned (annotation C(relevo-pinned)), or that a restore on this host or a scratch instance reads,
    stays with all that it builds on. There is never a backup without its base.
  - In check mode only the plan is returned. Killed in the middle, the same task finishes what was left.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
  - relevo.postgres.redis
attributes:
  action_group:
    description: Use C(group/relevo.postgres.redis) and C(group/relevo.postgres.pgbackrest) in C(module_defaults).
    support: full
    membership:
      - relevo.postgres.redis
      - relevo.postgres.pgbackrest
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  operation:
    description:
      - V(show) says what each of the others would remove and free.
      - V(keep) keeps the newest O(keep) full backups and what depends on them.
      - V(retention) removes what the configured retention of pgBackRest no longer keeps.
      - V(orphans) removes records of the catalog without a backup, and records backups without one.
      - V(all) removes every backup and all archived WAL, and proves that the empty stanza works.
    type: str
    choices: [show, keep, retention, orphans, all]
    default: show
  keep:
    description: How many full backups V(keep) leaves.
    type: int
    default: 0
  confirm:
    description: The stanza's name, without which V(all) is refused.
    type: str
    default: ""
  pin:
    description:
      - Label of a backup that must stay until the end of the day O(until), with all that it builds on. Nothing is
        removed then, whatever O(operation) says.
    type: str
    default: ""
  until:
    description: A date such as V(2026-12-31), the end of that day in UTC; or V(now), which takes the pin off.
    type: str
    default: ""
  repo_path:
    description: The repository's path, of which a record's C(direccion_almacenamiento) is made.
    type: path
    default: /var/lib/pgbackrest
  remove_timeout:
    description: Seconds that one of pgBackRest's commands may take.
    type: float
    default: 3600
seealso:
  - module: relevo.postgres.pgbackrest_annotate
  - module: relevo.postgres.redis_backup_record
"""

EXAMPLES = r"""
- name: Keep three full backups
  relevo.postgres.backup_cleanup:
    stanza: main
    operation: keep
    keep: 3
    host: redis
    password: "{{ catalog_redis_password }}"
"""

RETURN = r"""
operation_plan:
  description: What is removed, in the shape that docs/reference/plan.md describes.
  returned: success
  type: dict
refused:
  description: Why nothing was done; empty when it was. The task does not fail in check mode.
  returned: success
  type: list
  elements: str
text:
  description: What V(show) shows, or what was done.
  returned: success
  type: str
removed:
  description: Labels of the backups.
  returned: success
  type: list
  elements: str
records:
  description: Keys of the records that were removed by V(orphans) or V(all).
  returned: success
  type: list
  elements: str
recorded:
  description: Keys of the records that were written by V(orphans).
  returned: success
  type: list
  elements: str
bytes:
  description: Bytes that are freed in the repository; what a scratch file takes besides is not counted.
  returned: success
  type: int
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.arguments import connection_spec
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import catalog_name, desired_records
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    RedisError,
    connected,
    drift,
    remove_records,
    synchronise,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cleanup import (
    ALL,
    OPERATIONS,
    ORPHANS,
    SHOW,
    CleanupRequest,
    Holdings,
    Removal,
    describe,
    describe_pin,
    describe_show,
    done_text,
    overview,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import (
    FIRST,
    config_of,
    repositories,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.expire import (
    LOCK_TIMEOUT,
    holdings,
    remove_everything,
    thin_out,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    PgBackRest,
    find_backup,
    place_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pins import PINNED, pin_value


def with_catalog(params: dict[str, Any], found: Holdings) -> Holdings:
    """What the catalog holds and lacks; without Redis the reason, since backups do not wait for it."""
    labels = {str(backup["label"]) for backup in found.backups}
    try:
        with connected(params) as client:
            orphans, unrecorded = drift(client, catalog_name(params["stanza"], params["repository"]), labels)
    except RedisError as error:
        return replace(found, orphans=None, unrecorded=None, reason=error.message)
    return replace(found, orphans=orphans, unrecorded=unrecorded)


def correct_catalog(params: dict[str, Any], found: Holdings, planned: Removal, entry: dict[str, Any]) -> None:
    name = catalog_name(params["stanza"], params["repository"])
    # Of the first one, what its owner says.
    first = params["repository"] == FIRST
    place = (
        params["repo_path"] if first else place_of(config_of(params["repository"], Path(params["config"])).read_text())
    )
    with connected(params) as client:
        if planned.records:
            remove_records(client, name, planned.records, write=True)
        if planned.operation == ORPHANS:
            desired = desired_records(found.backups, name, place, entry.get("db") or [])
            synchronise(client, name, desired, write=True)


def pin(pgbackrest: PgBackRest, label: str, until: str, check_mode: bool) -> dict[str, Any]:
    value = pin_value(until, datetime.now(UTC))
    backup = find_backup(pgbackrest.require_stanza(), label)
    if backup is None:
        raise RelevoError(f"Stanza {pgbackrest.stanza} has no backup {label}. Choose one that catalog.yml shows.")
    changed = (backup.get("annotation") or {}).get(PINNED, "") != value
    plan = describe_pin(label, until, bool(value), pgbackrest.stanza, changed)
    if changed and not check_mode:
        words = (f"--set={label}", f"--annotation={PINNED}={value}")
        pgbackrest.run_when_free("annotate", *words, timeout=LOCK_TIMEOUT)
    return {"changed": changed, "text": plan.message, "operation_plan": plan.as_dict(), **_result(Removal(SHOW))}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    several = len(repositories(Path(params["config"]))) > 1
    which = params["repository"] if several else 0
    request = CleanupRequest(params["operation"], params["stanza"], params["keep"], params["confirm"], which)
    pgbackrest = PgBackRest(params["stanza"], params["config"], params["repository"])
    if params["pin"]:
        return pin(pgbackrest, params["pin"], params["until"], module.check_mode)
    found = with_catalog(params, holdings(pgbackrest, operation=request.operation))
    if request.operation == SHOW:
        plan = describe_show(request, found)
        text = overview(request, found)
        return {"changed": False, "text": text, "operation_plan": plan.as_dict(), **_result(Removal(SHOW))}
    planned = removal(request, found)
    plan = describe(request, found, planned)
    result = {"operation_plan": plan.as_dict(), "text": plan.text, "changed": plan.action != "none"}
    if plan.refusals and not module.check_mode:
        raise RelevoError(f"Nothing was removed. {' '.join(plan.refusals)}")
    if module.check_mode:
        return {**result, "changed": result["changed"] and not plan.refusals, **_result(planned, plan.refusals)}
    if request.operation == ALL:
        remove_everything(pgbackrest, params["remove_timeout"])
    elif request.operation != ORPHANS:
        thin_out(pgbackrest, planned, params["remove_timeout"])
    if request.operation == ORPHANS or planned.records:
        correct_catalog(params, found, planned, pgbackrest.info())
    return {**result, **_result(planned), "text": done_text(request, planned)}


def _result(planned: Removal, refusals: list[str] | None = None) -> dict[str, Any]:
    return {
        "refused": refusals or [],
        "removed": planned.backups,
        "records": planned.records,
        "recorded": planned.recorded,
        "bytes": planned.backup_bytes + planned.wal_bytes,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_spec(),
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "operation": {"type": "str", "choices": list(OPERATIONS), "default": "show"},
            "keep": {"type": "int", "default": 0},
            "confirm": {"type": "str", "default": ""},
            "pin": {"type": "str", "default": ""},
            "until": {"type": "str", "default": ""},
            "repo_path": {"type": "path", "default": str(_names.REPOSITORY_DIR)},
            "remove_timeout": {"type": "float", "default": 3600},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
