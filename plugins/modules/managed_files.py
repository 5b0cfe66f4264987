#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_files
short_description: Write a set of files and directories in one task
version_added: 0.1.0
description:
  - Writes each file as a whole, so that no reader ever meets half of it, and says which ones changed.
  - One task for all files of a node, where M(ansible.builtin.copy) would need one per file, at two thirds of
    a second each.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows each changed file; set C(no_log) on the task when the files hold secrets.
options:
  files:
    description: Files and directories, in the order in which they are made.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      content:
        description: The file's text. Omitted for a directory.
        type: str
      owner:
        description: The owner.
        type: str
        default: postgres
      group:
        description: The group.
        type: str
        default: postgres
      mode:
        description: The mode, in octal, as a string.
        type: str
        default: '0640'
      absent:
        description: Whether there must be no such file. Its content does not matter then.
        type: bool
        default: false
      judge:
        description:
          - The program that reads the file. It judges the text before any of the files is replaced, at every run;
            what it does not take is refused with its own words.
          - V(pgbackrest) is asked for each of its commands, also those that nobody runs now.
        type: str
        choices: [pgbackrest]
  former:
    description:
      - A file in which what is replaced is kept, until M(relevo.postgres.former_files) brings it back or forgets it.
        What is kept there already stays. Only root may read it. Empty for none.
    type: path
    default: ''
"""

EXAMPLES = r"""
- name: Write the server's configuration
  relevo.postgres.managed_files:
    files:
      - path: /etc/relevo/conf.d
        mode: '0750'
      - path: /etc/relevo/postgresql.conf
        content: "{{ lookup('ansible.builtin.template', 'postgresql.conf.j2') }}"
"""

RETURN = r"""
changed_paths:
  description: What was, or in check mode would be, written.
  returned: success
  type: list
  elements: str
former:
  description: Whether anything is kept in O(former), by this run or by one before.
  returned: success
  type: bool
"""

import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry, bring, keep_former
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.configuration_trial import (
    refusal,
    try_configuration,
)


def work(module: AnsibleModule) -> dict[str, Any]:
    judged = [given["content"] for given in module.params["files"] if given["judge"]]
    # In check mode its package may be missing yet.
    if not module.check_mode or shutil.which("pgbackrest"):
        faults = [fault for text in judged for fault in try_configuration(text)]
        if faults:
            raise RelevoError(refusal(faults), faults=faults)
    wanted = [Entry.from_dict(given) for given in module.params["files"]]
    former = module.params["former"]
    kept = bool(former) and not module.check_mode and keep_former(wanted, Path(former))
    changed, diff = bring(wanted, module.check_mode)
    return {"changed": bool(changed), "changed_paths": changed, "former": kept, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "owner": {"type": "str", "default": "postgres"},
                    "group": {"type": "str", "default": "postgres"},
                    "mode": {"type": "str", "default": "0640"},
                    "absent": {"type": "bool", "default": False},
                    "judge": {"type": "str", "choices": ["pgbackrest"]},
                },
            },
            "former": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
