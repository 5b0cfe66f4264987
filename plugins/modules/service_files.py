#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_files
short_description: Find out whether a service has read its files since they were written
version_added: 0.1.0
description:
  - Says that something is to be done (C(changed)) when the service runs and its files were written after it began, and
    after it was last told by this module to read them. So what a run that was cut off has written is found by the next
    one.
  - A service that does not run owes nothing, since it reads its files when it starts.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
seealso:
  - module: relevo.postgres.haproxy_reload
options:
  service:
    description: V(pgbackrest) is pgBackRest's TLS server.
    type: str
    choices: [pgbackrest, redis]
    required: true
  files:
    description: What it reads. One that is not there counts for nothing.
    type: list
    elements: path
    required: true
  reload:
    description:
      - Whether to let it read them again, by SIGHUP. Redis does not do that, and has to be restarted by a handler.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Let the TLS server read what was written
  relevo.postgres.service_files:
    service: pgbackrest
    files: [/etc/pgbackrest/pgbackrest.conf, /etc/relevo/tls/node.crt]
    reload: true
"""

RETURN = r"""
owed:
  description: Whether it had not read them.
  returned: success
  type: bool
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import reading


def work(module: AnsibleModule) -> dict[str, Any]:
    reader = reading.READERS[module.params["service"]]
    owed = reading.owed(reader, [Path(path) for path in module.params["files"]])
    if not module.check_mode:
        if owed and module.params["reload"]:
            reading.tell(reader)
        if not owed:
            reading.note_that_it_is_down(reader)
    return {"changed": owed, "owed": owed}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str", "choices": ["pgbackrest", "redis"], "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "reload": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
