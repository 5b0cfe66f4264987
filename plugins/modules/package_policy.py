#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_policy
short_description: Keep packages from restarting services while they are installed
version_added: 0.1.0
description:
  - Writes C(/usr/sbin/policy-rc.d), which Debian's packages ask before they start, stop or restart a service, or
    removes it again. A file that somebody else has put there is never touched, and decides.
  - One that a play left which died in between is known as the collection's own, and is removed by O(state=absent).
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  state:
    description: Whether the file is to be there.
    type: str
    choices: [present, absent]
    required: true
seealso:
  - module: ansible.builtin.apt
"""

EXAMPLES = r"""
- name: Let no package touch a service
  relevo.postgres.package_policy:
    state: present

- name: Install it
  ansible.builtin.apt:
    name: pgbackrest

- name: Let packages start services again
  relevo.postgres.package_policy:
    state: absent
"""

RETURN = r"""
ours:
  description: Whether the file that is there now, or would be, is the collection's own.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import package_policy


def work(module: AnsibleModule) -> dict[str, Any]:
    wanted = module.params["state"] == "present"
    was_ours = package_policy.is_ours()
    act = package_policy.forbid if wanted else package_policy.allow
    changed = act(check_mode=module.check_mode)
    return {"changed": changed, "ours": wanted and (changed or was_ours)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"state": {"type": "str", "choices": ["present", "absent"], "required": True}},
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
