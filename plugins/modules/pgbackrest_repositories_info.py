#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which repositories a host is configured for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_repositories_info
short_description: Say which repositories a host is configured for
version_added: 0.1.0
description:
  - Reads pgBackRest's configuration on the repository host, and asks no repository.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  config:
    description: pgBackRest's configuration file.
    type: path
    default: /etc/pgbackrest/pgbackrest.conf
  only:
    description: The number of one repository; of this one only. With V(0) of all.
    type: int
    default: 0
  mount:
    description: Where a file system must be mounted, for RV(unmounted).
    type: str
    default: ''
seealso:
  - module: relevo.postgres.pgbackrest_info
"""

EXAMPLES = r"""
- name: See which repositories there are
  relevo.postgres.pgbackrest_repositories_info:
  register: found
"""

RETURN = r"""
repositories:
  description: The repositories, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    number:
      description: Its number.
      type: int
    place:
      description: Where it is, a path or a bucket.
      type: str
      sample: s3://backups/
    directory:
      description: Its path where it is a directory of the repository host; otherwise empty.
      type: str
unmounted:
  description: O(mount) where nothing is mounted there; otherwise empty.
  returned: success
  type: str
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.listing import listed


def work(module: AnsibleModule) -> dict[str, Any]:
    mount = module.params["mount"]
    return {
        "changed": False,
        "repositories": listed(Path(module.params["config"]), module.params["only"]),
        "unmounted": mount if mount and not os.path.ismount(mount) else "",
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "only": {"type": "int", "default": 0},
            "mount": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
