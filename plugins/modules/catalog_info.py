#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what tells whether backups can be trusted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: catalog_info
short_description: Measure what tells whether backups can be trusted
version_added: 0.1.0
description:
  - Returns ages, windows, holes in the archive, broken chains, differences between catalog and repository, and what the
    last drill found. Runs on the repository host and judges nothing; see P(relevo.postgres.catalog_reports#filter).
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
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
options:
  every:
    description:
      - Whether to measure all repositories that answer, in place of O(repository); RV(facts) are of the first of them,
        with those of the others.
    type: bool
    default: false
  read_timeout:
    description: Seconds for each question to the repository.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Measure
  relevo.postgres.catalog_info:
    stanza: main
    host: redis
    password: "{{ catalog_redis_password }}"
  register: measured
"""

RETURN = r"""
facts:
  description: What was measured; moments are seconds since 1970, sizes bytes.
  returned: success
  type: dict
  contains:
    newest:
      description:
        - The newest backup that leads to the end of the newest timeline, with C(label), C(stop), C(seconds) and
          C(bytes); null without one.
      type: dict
    window:
      description: Why nothing can be restored to the newest timeline, as a sentence; empty where something can.
      type: str
    broken:
      description: Labels of the backups of which files are missing, of their own or of one that they build on.
      type: list
      elements: str
    first_backup:
      description: When the first backup ever ended, also where it has expired; null without one.
      type: float
    stretches:
      description: From when to when each timeline can be restored.
      type: list
      elements: dict
    holes:
      description: The segments that are missing in the archive.
      type: list
      elements: dict
    records_missing:
      description: Backups without a record; null where Redis did not answer.
      type: int
    records_orphaned:
      description: Records without a backup; null where Redis did not answer.
      type: int
    repository:
      description: The number of the repository that was measured.
      type: int
    others:
      description: With O(every=true), the same of each other repository that answers.
      type: list
      elements: dict
    drill:
      description: What the last drill found, also of a backup that has expired since; null before the first one.
      type: dict
repository:
  description: The number of the repository that RV(facts) are of.
  returned: success
  type: int
away:
  description: With O(every=true), the repositories that do not answer, and why.
  returned: success
  type: list
  elements: dict
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.arguments import connection_spec
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.check import measure
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page import counts
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import catalog_name
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    RedisError,
    connected,
)
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import each_that_answers
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.kept import first_backup, lost_backups
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest, labels_of
from ansible_collections.relevo.postgres.plugins.module_utils._restore.facts import settled_repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import (
    all_gaps,
    all_stretches,
    leading_to_now,
)


@dataclass(frozen=True)
class Measured:
    """What one repository says."""

    pgbackrest: PgBackRest
    entry: dict[str, Any]
    reach: dict[str, Any]
    kept: dict[str, Any]


def measured(params: dict[str, Any], number: int) -> Measured:
    pgbackrest = PgBackRest(params["stanza"], params["config"], number)
    entry = pgbackrest.require_stanza(params["read_timeout"])
    repository = settled_repository(pgbackrest, entry, params["read_timeout"])
    leading, window = leading_to_now(repository)
    reach = {
        "stretches": all_stretches(repository),
        "holes": all_gaps(repository),
        "leading": leading,
        "window": window,
    }
    kept = {
        "lost": lost_backups(pgbackrest, entry, params["read_timeout"]),
        "first": first_backup(pgbackrest, params["read_timeout"]),
    }
    return Measured(pgbackrest, entry, reach, kept)


def facts_of(found: Measured, params: dict[str, Any]) -> dict[str, Any]:
    """Of one repository, whose records are counted in its own index."""
    missing, orphaned, reason = None, None, ""
    number = found.pgbackrest.repository
    try:
        with connected(params) as client:
            missing, orphaned = counts(client, catalog_name(params["stanza"], number), labels_of(found.entry))
    except RedisError as error:
        reason = error.message
    facts = measure(found.entry, found.reach, found.kept, missing, orphaned, reason, datetime.now(UTC))
    return {**facts, "repository": number}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    numbers = repositories(Path(params["config"])) if params["every"] else [params["repository"]]
    found, away = each_that_answers(
        params["stanza"], numbers, lambda number: measured(params, number), params["config"], at_once=True
    )
    first, *others = [facts_of(found[number], params) for number in sorted(found)]
    return {
        "changed": False,
        "facts": {**first, "others": others},
        "repository": first["repository"],
        "away": [one.as_dict() for one in away],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_spec(),
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "every": {"type": "bool", "default": False},
            "read_timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
