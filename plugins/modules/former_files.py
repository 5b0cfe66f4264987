#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: former_files
short_description: Bring back the files that others have taken the place of, or forget them
version_added: 0.1.0
description:
  - M(relevo.postgres.managed_files) keeps what its files replace where it is told so. This brings that back when the
    new ones have turned out not to work, or forgets it when they have turned out to work.
  - It shows no content, since that may be secret. Without anything that was kept it changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  path:
    description: O(relevo.postgres.managed_files#module:former), where they are kept.
    type: path
    required: true
  state:
    description: V(restored) brings them back, V(forgotten) removes what was kept.
    type: str
    choices: [restored, forgotten]
    required: true
seealso:
  - module: relevo.postgres.managed_files
"""

EXAMPLES = r"""
- name: Bring back the configuration that worked
  relevo.postgres.former_files:
    path: /etc/relevo/pgbackrest-former.json
    state: restored
"""

RETURN = r"""
paths:
  description: The files that were brought back; none with O(state=forgotten).
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _files
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module


def work(module: AnsibleModule) -> dict[str, Any]:
    path = Path(module.params["path"])
    kept = path.exists()
    paths: list[str] = []
    if kept and module.params["state"] == "restored":
        paths = _files.restore_former(path, module.check_mode)
    elif kept and not module.check_mode:
        _files.forget_former(path)
    # What is forgotten is ours alone: nothing of the node is another than before.
    return {"changed": bool(paths), "paths": paths}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["restored", "forgotten"], "required": True},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
