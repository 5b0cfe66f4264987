#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_archive_recovery
short_description: Make an old primary a standby that follows the archive, when its successor is lost for good
version_added: 0.1.0
description:
  - Runs on the old primary's node, which the fence marker or the start guard keeps down. Removes the marker, starts the
    server as a standby with C(restore_command), and waits until it has replayed what the archive holds.
  - The promotion is another step, M(relevo.postgres.pg_promote), so the server gets a timeline newer than any before.
  - Rows that the lost primary had not archived are lost.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
    details: Says that it would do it.
  diff_mode:
    support: none
options:
  stanza:
    description: The cluster's stanza.
    type: str
    required: true
  timeout:
    description:
      - Seconds in which nothing goes on, neither its recovery from a crash nor the replay of the archive. As long as
        it goes on it is waited for, up to an hour each.
    type: float
    default: 300
seealso:
  - module: relevo.postgres.pg_promote
"""

EXAMPLES = r"""
- name: Let the old primary return
  relevo.postgres.pg_archive_recovery:
    node: postgres_master
    stanza: main
    service_manager: runit
  delegate_to: postgres_master
"""

RETURN = r"""
recovery_target_timeline:
  description: V(latest) when it followed its successor's history, V(current) when it could follow its own only.
  returned: success, not in check mode
  type: str
replayed:
  description: How far it has replayed.
  returned: success, not in check mode
  type: str
away:
  description: Of several repositories those that do not answer, and why. What they alone may have was not looked for.
  returned: success, not in check mode
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_recovery import ArchiveRecovery
from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_salvage import not_looked_for
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def work(module: AnsibleModule) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": True}
    given = module.params
    service = service_for(given["service_manager"])
    found = ArchiveRecovery(given["node"], given["stanza"], service, given["timeout"]).run()
    for one in found["away"]:
        module.warn(not_looked_for(Away(one["repository"], one["reason"])))
    return {"changed": True, **found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "stanza": {"type": "str", "required": True},
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
            "timeout": {"type": "float", "default": 300},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
