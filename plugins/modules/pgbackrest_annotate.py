#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotate a backup that exists."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_annotate
short_description: Annotate a backup that exists
version_added: 0.1.0
description:
  - Adds annotations to a backup in the repository, or changes or removes them.
  - What is known before a backup goes with it, by M(relevo.postgres.pgbackrest_backup).
    This is for what is learnt later.
  - Waits while a backup runs, because pgBackRest does not annotate then, and fails after O(wait) seconds.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the annotations before and after.
options:
  label:
    description: The backup's label; V(newest) is the newest one.
    type: str
    required: true
  every:
    description:
      - Of two repositories the newest backup of each is annotated, where they answer. One that does not is named in
        RV(away) and in a warning, and fails nothing; neither does one without a backup.
      - Only with O(label=newest), since a label is that of one repository.
    type: bool
    default: false
  required:
    description:
      - Whether a repository that cannot be annotated fails the task. With V(false) it is named in RV(away) and in a
        warning instead. So it is where what would be noted is that the backup is broken.
      - With O(every=true) the task fails where all cannot.
    type: bool
    default: true
  annotations:
    description: The annotations, as a dictionary. An empty value removes the key. Other annotations are kept.
    type: dict
    required: true
  wait:
    description: Seconds to wait for a running backup to end.
    type: float
    default: 0
seealso:
  - module: relevo.postgres.pgbackrest_backup
"""

EXAMPLES = r"""
- name: Say which server a backup was made of
  relevo.postgres.pgbackrest_annotate:
    stanza: main
    label: 20261124-120000F
    annotations:
      relevo-primary: postgres_slave
"""

RETURN = r"""
annotations:
  description: All annotations of the backup, as they are or would be now; with O(every=true) of the first repository's.
  returned: success
  type: dict
noted:
  description: The repositories in which there is such a backup, and its label there.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 1, label: 20261124-120000F}
away:
  description: With O(every=true) or O(required=false), the repositories that could not be annotated, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - {repository: 2, reason: The repository of stanza main is not in order.}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, each_that_answers
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.errors import BACKUP_MISSING
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import (
    PgBackRest,
    find_backup,
    labels_of,
)

NEWEST = "newest"
GONE = "it is in the repository no more, or without its manifest."


def annotate(pgbackrest: PgBackRest, params: dict[str, Any], check_mode: bool) -> dict[str, Any] | None:
    """Annotate the backup of one repository; None where the newest one is meant and there is none."""
    entry = pgbackrest.require_stanza()
    newest = params["label"] == NEWEST
    if newest and not labels_of(entry):
        return None
    label = labels_of(entry)[-1] if newest else params["label"]
    backup = find_backup(entry, label)
    if backup is None:
        raise RelevoError(
            f"The repository of stanza {params['stanza']} has no backup {label}. Choose one that "
            "'pgbackrest info' or catalog.yml shows.",
            rc=BACKUP_MISSING,
        )
    before = backup.get("annotation") or {}
    given = {key: "" if value is None else str(value) for key, value in params["annotations"].items()}
    after = {key: value for key, value in (before | given).items() if value}
    if after != before and not check_mode:
        options = [f"--annotation={key}={value}" for key, value in given.items()]
        pgbackrest.run_when_free("annotate", f"--set={label}", *options, timeout=params["wait"])
    return {"label": label, "before": before, "after": after}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    stanza, config, every = params["stanza"], params["config"], params["every"]
    if every and params["label"] != NEWEST:
        raise RelevoError(f"every=true wants label={NEWEST}: {params['label']} is the backup of one repository.")

    def of(number: int) -> dict[str, Any] | None:
        return annotate(PgBackRest(stanza, config, number), params, module.check_mode)

    numbers = repositories(Path(config)) if every else [params["repository"]]
    try:
        answers, away = each_that_answers(stanza, numbers, of, config)
    except RelevoError as error:
        if params["required"] or every:
            raise
        one = Away(numbers[0], error.message)
        # pgBackRest takes a backup without a manifest out of its list when it is asked to annotate it.
        gone = error.details.get("rc") == BACKUP_MISSING
        module.warn(f"Nothing was noted with the backup {params['label']}: {GONE}" if gone else one.sentence)
        return {"changed": False, "annotations": {}, "noted": [], "away": [one.as_dict()], "diff": []}
    done = {number: answer for number, answer in sorted(answers.items()) if answer is not None}
    if not done:
        raise RelevoError(f"The repository of stanza {stanza} has no backup yet. Take one with backup.yml.")
    for one in away:
        module.warn(one.sentence)
    first = next(iter(done.values()))
    return {
        "changed": any(one["after"] != one["before"] for one in done.values()),
        "annotations": first["after"],
        "noted": [{"repository": number, "label": one["label"]} for number, one in done.items()],
        "away": [one.as_dict() for one in away],
        "diff": [
            {
                "before_header": one["label"],
                "before": one["before"],
                "after_header": one["label"],
                "after": one["after"],
            }
            for one in done.values()
        ],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "label": {"type": "str", "required": True},
            "annotations": {"type": "dict", "required": True},
            "wait": {"type": "float", "default": 0},
            "every": {"type": "bool", "default": False},
            "required": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
