#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a backup with pgBackRest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_backup
short_description: Make a backup with pgBackRest
version_added: 0.1.0
description:
  - Makes one backup of the stanza's primary, and lets pgBackRest expire what retention no longer keeps.
  - Runs on the repository host. Servers that do not answer are left out, so a standby that is down costs nothing.
  - Annotations are part of the backup command, so that no kill can part a backup from them.
  - When the module or the controller is killed, pgBackRest goes on to the regular end of the backup. A call in the
    meantime fails and says that a backup is running, and how far it is.
  - A backup is never the same twice, so every call makes one and reports a change.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.action
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
attributes:
  check_mode:
    support: full
    details: Says that a backup would be made, and runs nothing.
  diff_mode:
    support: none
options:
  type:
    description:
      - What is asked for. pgBackRest makes a full backup when there is none to build on; see RV(type).
    type: str
    choices: [full, diff, incr]
    default: incr
  annotations:
    description: Annotations to store with the backup, as a dictionary. Those with an empty value are left out.
    type: dict
    default: {}
  online:
    description:
      - V(false) copies the files of a stopped server, without its help and without a check of the WAL archive.
    type: bool
    default: true
  force:
    description:
      - With O(online=false), copy the files of a server although it is running.
      - Most likely such a copy cannot be restored. It gets the annotation C(relevo-consistent=false), and a warning.
    type: bool
    default: false
  host:
    description:
      - With O(online=false), the address (as in C(pgN-host)) of the server to copy from; required when the stanza has
        several, because offline pgBackRest does not find the primary.
    type: str
  process_max:
    description: Number of processes. The configuration's when omitted.
    type: int
  retention_full:
    description: Number of full backups to keep. The configuration's when omitted.
    type: int
  timeout:
    description:
      - Seconds after which the backup is ended in an orderly way, and the task fails. No limit when omitted.
      - The next backup resumes what was copied.
    type: float
  connect_timeout:
    description: Seconds after which a server that does not answer is left out. All are asked at once.
    type: float
    default: 5
  primary:
    description:
      - Who was primary before the backup. When it has ended the servers are asked who is primary now, and the result
        says from which of the two it was taken. Without this option nobody is asked.
    type: dict
    suboptions:
      name:
        description: Its inventory name.
        type: str
        required: true
      timeline:
        description: Its timeline.
        type: int
        required: true
      nodes:
        description: The servers of the cluster, as for M(relevo.postgres.pg_primary_facts).
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The node's inventory name.
            type: str
            required: true
          host:
            description: The name or address under which it is reached. The node's name when omitted.
            type: str
          port:
            description: The port of PostgreSQL there.
            type: int
            default: 5432
      timeout:
        description: Seconds for each question to a server. All are asked at once.
        type: float
        default: 4
      passfile:
        description: The libpq password file of the host that asks, with the passwords of the collection's own roles.
        type: path
        default: /etc/relevo/pgpass
      ca_file:
        description: The authority that signed the servers' certificates.
        type: path
        default: /etc/relevo/tls/ca.crt
      unreachable:
        description: Nodes that are known not to answer, with the reason; they are not asked.
        type: dict
        default: {}
      observer:
        description: The host that asks, where that is another one than the one that makes the backup.
        type: str
        default: ""
seealso:
  - module: relevo.postgres.pgbackrest_info
  - module: relevo.postgres.pgbackrest_annotate
"""

EXAMPLES = r"""
- name: Make a full backup
  relevo.postgres.pgbackrest_backup:
    stanza: main
    type: full
    annotations:
      relevo-primary: postgres_master

- name: Copy a stopped server
  relevo.postgres.pgbackrest_backup:
    stanza: main
    type: full
    online: false
    host: postgres_master
"""

RETURN = r"""
label:
  description: The backup's label.
  returned: when a backup was made
  type: str
  sample: 20261124-120000F
type:
  description: What pgBackRest made.
  returned: when a backup was made
  type: str
  sample: full
backup:
  description: The backup as it appears in the output of C(pgbackrest info --output=json).
  returned: when a backup was made
  type: dict
primary_now:
  description: Who is primary now that the backup has ended, with its O(primary.name) and O(primary.timeline).
  returned: with O(primary), but not in check mode
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
primary:
  description: From whom the backup was taken, as the timeline of its first WAL segment tells.
  returned: with O(primary)
  type: str
other_primary:
  description: Whether RV(primary) is another one than O(primary.name), so that the annotation has to be corrected.
  returned: with O(primary)
  type: bool
skipped_step:
  description: Whether no backup was made because no file had changed since the last one; only with O(online=false).
  returned: success
  type: bool
expired:
  description: Labels of the backups that were removed.
  returned: success
  type: list
  elements: str
unreachable_nodes:
  description: Addresses of the servers that did not answer and were left out.
  returned: success
  type: list
  elements: str
duration:
  description: Seconds that pgBackRest took.
  returned: success
  type: float
command:
  description: The command that would be run, without the choice of servers.
  returned: in check mode
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import backup_spec
from ansible_collections.relevo.postgres.plugins.module_utils._backup.make import make
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module


def work(module: AnsibleModule) -> dict[str, Any]:
    result = make(module.params, module.check_mode)
    for message in result.pop("warnings", []):
        module.warn(message)
    return result


def main() -> None:
    module = AnsibleModule(**backup_spec(), supports_check_mode=True)
    run_module(module, work)


if __name__ == "__main__":
    main()
