#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_info
short_description: Whether HAProxy works with what was written for it, and how long its certificate is valid
version_added: 0.1.0
description:
  - Asks the host itself, and HAProxy's worker at its stats socket. Changes nothing.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  cluster:
    description: The cluster whose servers are looked up in its configuration. None when empty.
    type: str
    default: ""
seealso:
  - module: relevo.postgres.haproxy_reload
"""

EXAMPLES = r"""
- name: Look at HAProxy
  relevo.postgres.haproxy_info:
    cluster: main
  register: proxy
"""

RETURN = r"""
running:
  description: Whether it runs.
  returned: success
  type: bool
reload_owed:
  description: Whether it works with older files than those that are there.
  returned: success
  type: bool
servers:
  description:
    - The servers of O(cluster) that its configuration has, by their inventory names. Null where no cluster was asked
      for, or no configuration is there.
  returned: success
  type: list
  elements: str
certificate_days:
  description: Days until its certificate expires; null where nobody can tell.
  returned: success
  type: float
authority:
  description:
    - The authority of that certificate, or of those above it the one that ends first, with C(name) (its subject),
      C(ends) (until when it is valid) and C(days) (until then); null where nobody can tell.
  returned: success
  type: dict
  sample: {name: CN=Relevo authority, ends: "2036-11-24T09:00:00+00:00", days: 3650.0}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._server import haproxy


def work(module: AnsibleModule) -> dict[str, Any]:
    return {"changed": False, **haproxy.info(module.params["cluster"])}


def main() -> None:
    run_module(AnsibleModule(argument_spec={"cluster": {"type": "str", "default": ""}}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
