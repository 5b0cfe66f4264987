#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_reserve_timelines
short_description: Keep a promotion from using the number of an abandoned timeline
version_added: 0.1.0
description:
  - Runs on the node of a standby that is about to be promoted. The archive may know timelines that nobody follows any
    more; a server without a C(restore_command) does not know of them, and would open a timeline of the same number,
    whose files the archive then refuses.
  - Puts a file that only reserves the number into C(pg_wal) for each of them. The start guard removes those files again
    when the standby is restarted instead of promoted.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
    details: Says which numbers it would reserve.
  diff_mode:
    support: none
options:
  timeline:
    description: The timeline that the standby follows.
    type: int
    required: true
  stanza:
    description: The stanza of the archive that is asked which timelines it knows.
    type: str
    required: true
  required:
    description: Whether to fail when the archive cannot be asked; otherwise RV(notice) says so.
    type: bool
    default: true
  timeout:
    description: Seconds for each question to the archive.
    type: float
    default: 4
seealso:
  - module: relevo.postgres.pg_switchover
"""

EXAMPLES = r"""
- name: Reserve the numbers of abandoned timelines
  relevo.postgres.pg_reserve_timelines:
    timeline: 1
    stanza: main
  delegate_to: postgres_slave
"""

RETURN = r"""
reserved:
  description: The numbers that were, or in check mode would be, reserved by this call.
  returned: success
  type: list
  elements: int
notice:
  description: Why the archive could not be asked; empty when it could.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import newest_timeline_anywhere
from ansible_collections.relevo.postgres.plugins.module_utils._server import abandoned_timelines
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server


def work(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    try:
        newest, _away = newest_timeline_anywhere(given["stanza"], given["timeout"])
    except RelevoError as error:
        if given["required"]:
            raise
        return {"changed": False, "reserved": [], "notice": error.message}
    reserve = abandoned_timelines.unreserved if module.check_mode else abandoned_timelines.reserve
    numbers = reserve(Server(), given["timeline"], newest)
    return {"changed": bool(numbers), "reserved": numbers, "notice": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "timeline": {"type": "int", "required": True},
            "stanza": {"type": "str", "required": True},
            "required": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 4},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
