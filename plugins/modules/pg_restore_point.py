#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a named restore point."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_point
short_description: Make a named restore point
version_added: 0.1.0
description:
  - Makes a restore point on this node's server, which must be the primary, and waits until it is in the archive.
  - Of two repositories in that of the first one, whose backups know the point.
  - A restore point is one more every time, so every call makes one and reports a change.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  name:
    description: Its name.
    type: str
    required: true
  timeout:
    description: Seconds within which it must be archived.
    type: float
    default: 120
seealso:
  - module: relevo.postgres.pg_restore_point_plan
  - module: relevo.postgres.pgbackrest_annotate
"""

EXAMPLES = r"""
- name: Make a restore point
  relevo.postgres.pg_restore_point:
    name: before_release
"""

RETURN = r"""
lsn:
  description: Where its record ends.
  returned: outside of check mode
  type: str
timeline:
  description: The timeline.
  returned: outside of check mode
  type: int
made:
  description: When, by the server's clock, in UTC.
  returned: outside of check mode
  type: str
segment:
  description: The segment that holds it, which has been archived.
  returned: outside of check mode
  type: str
annotations:
  description: The annotation by which M(relevo.postgres.pg_restore_plan) finds it.
  returned: outside of check mode
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._restore.points import make_point
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR, Session


def work(module: AnsibleModule) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": True}
    with Session.local() as session:
        point, segment = make_point(session, module.params["name"], module.params["timeout"])
    return {
        "changed": True,
        "lsn": point.position,
        "timeline": point.timeline,
        "made": point.made,
        "segment": segment,
        "annotations": point.annotation(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 120},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
