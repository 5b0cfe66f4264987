#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fence_record
short_description: Keep the record that a node was fenced, where its start guard reads it
version_added: 0.1.0
description:
  - Runs on the repository host. For a node whose own disk cannot be written to, the fence marker is stored in the
    pgBackRest repository, as C(relevo/fence/NODE.json) below C(repo1-path) of this host's configuration.
  - Only a repository that is a directory of the repository host can hold it (C(repo1-type) V(posix) or V(cifs)). With
    any other the module fails.
  - It fails, too, where that directory has not answered within 10 s, as a mount does whose server is away.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
    details: Says whether anything would be changed.
  diff_mode:
    support: full
    details: Shows the difference of the record.
options:
  nodes:
    description: Inventory names of the nodes.
    type: list
    elements: str
    required: true
  state:
    description:
      - Whether there is to be a record. V(tried) leaves a file in its place and removes it, and fails where it cannot.
      - A repository that is a bucket takes none, so V(absent) has nothing to do there.
    type: str
    choices: [present, absent, tried]
    default: present
  content:
    description: The fence marker, as text. Needed by O(state=present), which takes one node.
    type: str
  config:
    description: pgBackRest's configuration on this host.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
"""

EXAMPLES = r"""
- name: Withdraw the record of a node that is a standby again
  relevo.postgres.fence_record:
    nodes: [db1]
    state: absent
  delegate_to: backup1
"""

RETURN = r"""
directory:
  description: The repository's directory, below which the records stand; empty where it is a bucket.
  returned: success
  type: str
  sample: /var/lib/pgbackrest
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository import fence_record_here


def work(module: AnsibleModule) -> dict[str, Any]:
    return fence_record_here.answer({**module.params, "check_mode": module.check_mode})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "tried"], "default": "present"},
            "content": {"type": "str"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
        },
        required_if=[("state", "present", ["content"])],
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
