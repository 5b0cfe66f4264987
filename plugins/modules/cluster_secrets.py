#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_secrets
short_description: Read the cluster's secrets, or generate them once
version_added: 0.1.0
description:
  - Looks for each secret in O(given) (variables, a vault, a credential), then in a file of its own in O(directory).
  - Generates what is missing only with O(generate=true); the files have mode 0600 and are never replaced.
  - Set C(no_log) on the task, since it returns the secrets.
author: The Relevo authors (@relevo)
options:
  directory:
    description: The folder that holds one file a secret.
    type: path
    required: true
  names:
    description: The secrets that are needed.
    type: list
    elements: str
    required: true
  given:
    description: Secrets that the user provides, by name. Empty values do not count.
    type: dict
    default: {}
  generate:
    description: Whether missing secrets may be made. False for a cluster that exists already.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports the names that would be generated.
    support: full
"""

EXAMPLES = r"""
- name: Read the secrets
  relevo.postgres.cluster_secrets:
    directory: "{{ inventory_dir }}/.secrets"
    names: [relevo_replication, redis]
  delegate_to: localhost
  register: secrets
  no_log: true
"""

RETURN = r"""
secrets:
  description: The secrets by name.
  returned: success
  type: dict
missing:
  description: The names of those that are not known and were not generated.
  returned: success
  type: list
  elements: str
generated:
  description: The names of those that were made.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import SecretStore


def work(module: AnsibleModule) -> dict[str, Any]:
    store = SecretStore(Path(module.params["directory"]), module.params["given"])
    names = module.params["names"]
    missing = store.missing(names)
    generated = missing if module.params["generate"] else []
    if not module.check_mode:
        for name in generated:
            store.generate(name)
    return {
        "changed": bool(generated),
        "secrets": {name: store.read(name) for name in names},
        "missing": [name for name in missing if name not in generated],
        "generated": generated,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "given": {"type": "dict", "default": {}, "no_log": True},
            "generate": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
