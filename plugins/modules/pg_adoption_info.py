#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_adoption_info
short_description: Whether a running server that others have set up can be adopted, and what that changes
version_added: 0.1.0
description:
  - Looks for a PostgreSQL server on the node that was not started with the collection's configuration, compares what it
    has with what it would get, and says what has to be decided first.
  - It is asked with C(psql) as its own user C(postgres), so nothing has to be installed before.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  node:
    description: The node's name in the inventory.
    type: str
    required: true
  version:
    description: The major version that the node holds, or is meant to hold.
    type: str
    required: true
  port:
    description: The port on which the node's server is meant to listen.
    type: int
    required: true
  settings:
    description: The text of the C(postgresql.conf) that it would get.
    type: str
    required: true
  decided:
    description: The names of the settings that the inventory decides.
    type: list
    elements: str
    default: []
  hba:
    description: The rules of access for applications, as C(postgresql_hba) has them.
    type: list
    elements: dict
    default: []
  users:
    description: The roles that would be given a password.
    type: list
    elements: str
    default: []
  synchronous:
    description: Whether the cluster is to have synchronous replication.
    type: bool
    default: false
  nodes:
    description: How many nodes the cluster has.
    type: int
    default: 2
  restart:
    description: Whether it may be restarted.
    type: bool
    default: false
  adopt:
    description: Whether somebody wants it adopted.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look for a server that others have set up
  relevo.postgres.pg_adoption_info:
    node: "{{ inventory_hostname }}"
    version: "{{ (postgresql_version | relevo.postgres.postgresql_paths).version }}"
    port: "{{ postgresql_port }}"
    settings: "{{ lookup('ansible.builtin.template', 'postgresql.conf.j2') }}"
"""

RETURN = r"""
foreign:
  description: Whether such a server runs in the node's data directory.
  returned: success
  type: bool
standby:
  description: Whether it is a standby.
  returned: success
  type: bool
refusal:
  description: Why nothing may be configured here, with all that has to be decided; empty where it may.
  returned: success
  type: str
text:
  description: What the adoption changes, for people; empty without one, and once it is done.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module
from ansible_collections.relevo.postgres.plugins.module_utils._names import data_directory
from ansible_collections.relevo.postgres.plugins.module_utils._server import adoption, adoption_words, foreign
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    server = Server(data_directory(params["version"]))
    holder = foreign.holder(server, params["port"])
    result = {"changed": False, "foreign": holder.foreign, "standby": False, "refusal": "", "text": ""}
    if not holder.foreign:
        return result | {"refusal": adoption_words.in_the_way(holder.elsewhere, holder.down, str(server.pgdata))}
    found, files = foreign.look(server)
    wanted = adoption.Wanted(
        settings=params["settings"],
        decided=frozenset(name.lower() for name in params["decided"]),
        hba=params["hba"],
        users=params["users"],
        synchronous=params["synchronous"],
        restart=params["restart"],
        nodes=params["nodes"],
        port=params["port"],
    )
    decision = adoption.decide(found, wanted)
    text = "" if found.included else adoption_words.plan(params["node"], found, files, decision)
    allowed = decision.possible and (params["adopt"] or found.included)
    return result | {
        "standby": found.standby,
        "refusal": "" if allowed else adoption_words.refusal(decision, text, found.unit),
        "text": text,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "settings": {"type": "str", "required": True},
            "decided": {"type": "list", "elements": "str", "default": []},
            "hba": {"type": "list", "elements": "dict", "default": []},
            "users": {"type": "list", "elements": "str", "default": []},
            "synchronous": {"type": "bool", "default": False},
            "nodes": {"type": "int", "default": 2},
            "restart": {"type": "bool", "default": False},
            "adopt": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, work)


if __name__ == "__main__":
    main()
