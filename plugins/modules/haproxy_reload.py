#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_reload
short_description: Let HAProxy read what was written for it, and prove that it works with it
version_added: 0.1.0
description:
  - Lets HAProxy of this host read its configuration and its certificate again when they are newer than the worker that
    is at work, and waits until a worker has begun with them. No session ends. So is a newer program of its package
    taken up.
  - Fails when none does, as where a port belongs to somebody else; HAProxy goes on with what it had then.
  - One that does not run owes nothing, since it reads its files when it starts.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  timeout:
    description: Seconds to wait for the new worker.
    type: float
    default: 30
seealso:
  - module: relevo.postgres.haproxy_info
  - module: relevo.postgres.service_files
"""

EXAMPLES = r"""
- name: Let HAProxy read what was written
  relevo.postgres.haproxy_reload:
    timeout: 60
"""

RETURN = r"""
owed:
  description: Whether it worked with older files.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import haproxy


def work(module: AnsibleModule) -> dict[str, Any]:
    owed = haproxy.bring(module.params["timeout"], module.check_mode)
    return {"changed": owed, "owed": owed}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"timeout": {"type": "float", "default": 30}},
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
