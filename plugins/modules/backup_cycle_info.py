#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask what has to be known before a backup."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_cycle_info
short_description: Ask what has to be known before a backup
version_added: 0.1.0
description:
  - Asks at once which repositories there are, who is primary, what a repository holds, and whether the catalog can be
    read, for M(relevo.postgres.backup_cycle_plan) to decide by.
  - Runs on the repository host. M(relevo.postgres.backup_cycle_plan) asks the same with a program where the inventory
    names that host's C(ansible_python_interpreter).
  - Fails where there is not exactly one primary, where the stanza cannot be read, and while another backup runs.
  - Redis being away is an answer, since it must not cost a backup.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.pgbackrest
  - relevo.postgres.cluster.nodes
  - relevo.postgres.cluster.psycopg
attributes:
  action_group:
    description: Use C(group/relevo.postgres.pgbackrest) and C(group/relevo.postgres.postgresql) in C(module_defaults).
    support: full
    membership:
      - relevo.postgres.pgbackrest
      - relevo.postgres.postgresql
options:
  repository:
    description:
      - The number of the repository that is asked. With V(0) it is the only one, and where there are several no more is
        returned than the list.
    type: int
    default: 0
  only:
    description: The number of the only repository that is listed, which must be there; V(0) for all of them.
    type: int
    default: 0
  wait:
    description: Seconds to wait for a backup that runs already. The task fails when it has not ended by then.
    type: float
    default: 0
  unreachable:
    description: Nodes that are known not to answer, with the reason; they are not asked.
    type: dict
    default: {}
  catalog:
    description: How Redis is reached. Without it nobody asks there.
    type: dict
    suboptions:
      host:
        description: Name or address of the Redis server.
        type: str
        required: true
      port:
        description: Port of the Redis server.
        type: int
        default: 6379
      username:
        description: User of the server's access control list; without it the default user.
        type: str
      password:
        description: Password of that user.
        type: str
      db:
        description: Number of the database that holds the catalog.
        type: int
        default: 0
      tls:
        description: Whether to connect over TLS.
        type: bool
        default: false
      ca_certs:
        description: File with the certificates of the authorities that may have signed the server's one.
        type: path
      timeout:
        description: Seconds that connecting, and each answer, may take.
        type: float
        default: 5.0
      unreachable:
        description: Of no effect here, where that Redis is away is always an answer.
        type: str
        choices: [fail, report]
        default: fail
seealso:
  - module: relevo.postgres.backup_cycle_plan
  - module: relevo.postgres.pgbackrest_backup
"""

EXAMPLES = r"""
- name: Ask what there is
  relevo.postgres.backup_cycle_info:
    stanza: main
    nodes:
      - name: postgres_master
      - name: postgres_slave
  register: asked
"""

RETURN = r"""
repositories:
  description: The repositories, as M(relevo.postgres.pgbackrest_repositories_info) returns them.
  returned: success
  type: list
  elements: dict
number:
  description: The number of the repository that was asked.
  returned: where one repository is asked
  type: int
primary:
  description: The one primary.
  returned: where one repository is asked
  type: dict
  contains:
    name:
      description: Its inventory name.
      type: str
    host:
      description: The address under which the other nodes reach it.
      type: str
    timeline:
      description: Its timeline.
      type: int
backups:
  description: The backups, as they appear in the output of C(pgbackrest info --output=json).
  returned: where one repository is asked
  type: list
  elements: dict
now:
  description: The moment at which the repository host was asked, with its time zone.
  returned: where one repository is asked
  type: str
  sample: "2026-11-24T12:00:00+01:00"
catalog:
  description: Whether the catalog can be read.
  returned: with O(catalog), where one repository is asked
  type: dict
  contains:
    reachable:
      description: Whether it can.
      type: bool
    reason:
      description: The sentence that says why not; empty where it can.
      type: str
    kind:
      description: V(unavailable) when that may pass by itself, V(refused) when it does not; empty where it can.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import info_spec
from ansible_collections.relevo.postgres.plugins.module_utils._backup.ask import ask
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module


def main() -> None:
    module = AnsibleModule(**info_spec(), supports_check_mode=True)
    run_module(module, lambda module: ask(module.params))


if __name__ == "__main__":
    main()
