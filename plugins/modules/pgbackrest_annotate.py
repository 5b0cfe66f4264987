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
    description: The backup's label.
    type: str
    required: true
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
  description: All annotations of the backup, as they are or would be now.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest, find_backup


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    pgbackrest = PgBackRest(params["stanza"], params["config"], params["repository"])
    backup = find_backup(pgbackrest.require_stanza(), params["label"])
    if backup is None:
        raise RelevoError(
            f"The repository of stanza {params['stanza']} has no backup {params['label']}. Choose one that "
            "'pgbackrest info' or catalog.yml shows."
        )
    before = backup.get("annotation") or {}
    given = {key: "" if value is None else str(value) for key, value in params["annotations"].items()}
    after = {key: value for key, value in (before | given).items() if value}
    if after != before and not module.check_mode:
        options = [f"--annotation={key}={value}" for key, value in given.items()]
        pgbackrest.run_when_free("annotate", f"--set={params['label']}", *options, timeout=params["wait"])
    return {"changed": after != before, "annotations": after, "diff": {"before": before, "after": after}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "label": {"type": "str", "required": True},
            "annotations": {"type": "dict", "required": True},
            "wait": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
