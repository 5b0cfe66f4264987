#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List what was restored beside the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_scratch_info
short_description: List what was restored beside the cluster
version_added: 0.1.0
description:
  - Lists the scratch instances of this host with what they were made for, what was reached and the space that they
    take.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.cluster.psycopg
options:
  cluster:
    description: Only those of this cluster. All when empty.
    type: str
    default: ""
  directory:
    description: Where the scratch instances of this host are, beside the directories in which some were made before.
    type: path
    default: /var/lib/postgresql/scratch
seealso:
  - module: relevo.postgres.pg_scratch
"""

EXAMPLES = r"""
- name: List the scratch instances
  relevo.postgres.pg_scratch_info:
  register: scratch
"""

RETURN = r"""
instances:
  description: The instances, as RV(relevo.postgres.pg_scratch#module:instance).
  returned: success
  type: list
  elements: dict
elsewhere:
  description:
    - On the repository host, what M(relevo.postgres.scratch_record) has noted of instances on other hosts.
    - Each has C(host), C(name), C(cluster), C(backup) and C(reading).
  returned: success
  type: list
  elements: dict
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository import scratch_roots
from ansible_collections.relevo.postgres.plugins.module_utils._restore import instance
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR


def work(module: AnsibleModule) -> dict[str, Any]:
    wanted = module.params["cluster"]
    roots = dict.fromkeys([Path(module.params["directory"]), *scratch_roots.roots()])
    found = [one for root in roots for one in instance.found(root)]
    return {
        "changed": False,
        "instances": [one.as_dict() for one in found if not wanted or one.cluster == wanted],
        "elsewhere": [asdict(one) for one in scratch_roots.elsewhere(wanted)],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "str", "default": ""},
            "directory": {"type": "path", "default": str(_names.SCRATCH_DIR)},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
