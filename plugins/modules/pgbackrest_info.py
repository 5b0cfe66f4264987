#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a pgBackRest repository holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: Read what a pgBackRest repository holds
version_added: 0.1.0
description:
  - Returns the backups, the archive and the state of a stanza, from C(pgbackrest info --output=json).
  - Works on the repository host and on every server. Changes nothing.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
options:
  require:
    description:
      - V(stanza) fails unless the stanza exists and can be read.
      - V(nothing) returns the state, whatever it is.
    type: str
    choices: [stanza, nothing]
    default: stanza
  wait:
    description:
      - Seconds to wait for a running backup to end; the task fails when it has not.
      - Without it a running backup is an answer like any other.
    type: float
  timelines:
    description: Whether to look which timelines the archive knows, too.
    type: bool
    default: false
  every:
    description:
      - Whether to ask every repository that there is. What is returned is then that of the first one that answers, and
        RV(away) and RV(behind) tell of the others. Fails, as O(require) says, where none answers.
    type: bool
    default: false
  holes:
    description:
      - Whether to look for WAL that is missing in the archive after the beginning of the oldest backup. pgBackRest
        itself does not look for it, and drops WAL on purpose with C(archive-push-queue-max).
    type: bool
    default: false
  tls_server:
    description:
      - Whether to look if the TLS server of this host has read its files since they were written, and how long its
        certificate and the authority of that are valid, too.
    type: bool
    default: false
  timeout:
    description: Seconds for each question.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Read what the repository holds
  relevo.postgres.pgbackrest_info:
    stanza: main
  register: repository

- name: Show the newest backup
  ansible.builtin.debug:
    var: repository.backups | last
"""

RETURN = r"""
backups:
  description: The backups, the oldest first, each as it appears in the output of C(pgbackrest info).
  returned: success
  type: list
  elements: dict
databases:
  description: The list C(db) of the output, with the system identifiers.
  returned: success
  type: list
  elements: dict
archive:
  description: The range of WAL segments of each database.
  returned: success
  type: list
  elements: dict
newest_timeline:
  description: The newest timeline of which the archive has a segment or a history file; 0 when it has none.
  returned: when O(timelines=true)
  type: int
holes:
  description: The segments that are missing, each time from the first to the last, in their order.
  returned: when O(holes=true)
  type: list
  elements: dict
  sample:
    - {first: 000000010000000000000006, last: 000000010000000000000008, count: 3}
repositories:
  description: The numbers of the repositories that were asked.
  returned: success
  type: list
  elements: int
away:
  description: With O(every=true), the repositories that do not answer or have no stanza, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 2, reason: The repository of stanza main is not in order.}
behind:
  description:
    - With O(every=true) and O(holes=true), what the archives of the others lack and no backup begins after, as
      RV(holes) tells it.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 2, holes: [{first: 000000010000000000000006, last: 000000010000000000000008, count: 3}]}
tls_server_owed:
  description: Whether the TLS server runs, and has not read its files since they were written.
  returned: when O(tls_server=true)
  type: bool
certificate_days:
  description: Days until the certificate of this host expires; null where nobody can tell.
  returned: when O(tls_server=true)
  type: float
authority:
  description: As M(relevo.postgres.haproxy_info) returns it.
  returned: when O(tls_server=true)
  type: dict
exists:
  description: Whether the stanza exists.
  returned: success
  type: bool
problem:
  description: Why no backup can be made in this stanza, in a sentence; empty when one can.
  returned: success
  type: str
  sample: The repository has no stanza main. Check the cluster's name, or run site.yml, which creates it.
running:
  description: How far a backup is that runs now; null when there is none.
  returned: success
  type: str
  sample: 41 % of 413 MiB are done
raw:
  description: The stanza's whole entry in the output.
  returned: success
  type: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._recovery_window import losses, of_newest_system
from ansible_collections.relevo.postgres.plugins.module_utils._repository import tls_server
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import (
    archive_holes,
    newest_archived_timeline,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, each, each_that_answers
from ansible_collections.relevo.postgres.plugins.module_utils._repository.backup import wait_for_idle
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    STATUS_NO_STANZA,
    PgBackRest,
    running_backup,
    status_problem,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server import certificate


def ask(params: dict[str, Any]) -> tuple[dict[int, dict[str, Any]], list[Away]]:
    """What each repository that is asked says, by number, and which do not."""
    stanza, config, timeout = params["stanza"], params["config"], params["timeout"]
    numbers = repositories(Path(config)) if params["every"] else [params["repository"]]

    def demand(number: int) -> dict[str, Any]:
        return PgBackRest(stanza, config, number).require_stanza(timeout)

    def demand_all() -> tuple[dict[int, dict[str, Any]], list[Away]]:
        return each_that_answers(stanza, numbers, demand, config, at_once=True)

    if params["require"] == "stanza":
        return demand_all()
    if len(numbers) > 1:
        try:
            return demand_all()
        except RelevoError:
            # None does: what the first one says is the answer.
            numbers = numbers[:1]
    return {number: PgBackRest(stanza, config, number).info(timeout) for number in numbers}, []


def holes_of(pgbackrest: PgBackRest, entry: dict[str, Any], timeout: float) -> dict[str, list[dict[str, Any]]]:
    """``holes``: all of them; ``behind``: those after which no backup begins, and which so are in the way of now."""
    backups = of_newest_system(entry.get("backup") or [], entry.get("db") or [])
    starts = [str((backup.get("archive") or {}).get("start") or "") for backup in backups]
    found = archive_holes(pgbackrest, starts, timeout)
    behind = [loss.hole for loss in losses(backups, found) if loss.before is None or loss.hole.history]
    return {"holes": [asdict(hole) for hole in found], "behind": [asdict(hole) for hole in behind]}


def archive_of(pgbackrest: PgBackRest, entry: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """What is asked of the archive of one repository that has answered."""
    found: dict[str, Any] = {}
    if params["holes"]:
        found |= holes_of(pgbackrest, entry, params["timeout"])
    if params["timelines"]:
        # archive tells the newest segment only, and a history is archived before the first of them.
        found["newest_timeline"] = newest_archived_timeline(pgbackrest, params["timeout"])
    return found


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    entries, away = ask(params)
    every = {number: PgBackRest(params["stanza"], params["config"], number) for number in entries}
    if params["wait"] is not None:
        first = min(entries)
        entries[first] = wait_for_idle(every[first], params["wait"])
    # One that answers may still be too slow to list its archive: it is away, too.
    archives, later = each(list(entries), lambda one: archive_of(every[one], entries[one], params), at_once=True)
    away = [*away, *later]
    number = min(archives)
    entry = entries[number]
    result = {
        "changed": False,
        "backups": entry.get("backup") or [],
        "databases": entry.get("db") or [],
        "archive": entry.get("archive") or [],
        "exists": entry["status"]["code"] != STATUS_NO_STANZA,
        "problem": status_problem(entry, params["stanza"]) or "",
        "running": running_backup(entry),
        "raw": entry,
        "repositories": sorted([*archives, *(one.repository for one in away)]),
        "away": [one.as_dict() for one in away],
        "behind": [],
    }
    if params["holes"]:
        result["holes"] = archives[number]["holes"]
        result["behind"] = [
            {"repository": one, "holes": found["behind"]}
            for one, found in archives.items()
            if found["behind"] and one != number
        ]
    if params["timelines"]:
        result["newest_timeline"] = max(found["newest_timeline"] for found in archives.values())
    if params["tls_server"]:
        result |= {"tls_server_owed": tls_server.reload_owed(), **certificate.validity()}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "require": {"type": "str", "choices": ["stanza", "nothing"], "default": "stanza"},
            "wait": {"type": "float"},
            "timelines": {"type": "bool", "default": False},
            "every": {"type": "bool", "default": False},
            "holes": {"type": "bool", "default": False},
            "tls_server": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
