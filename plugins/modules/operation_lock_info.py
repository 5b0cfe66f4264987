#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: operation_lock_info
short_description: Who holds the operation lock of a cluster
version_added: 0.1.0
description:
  - Runs on the repository host, as root. Waits for nobody.
  - A play that was killed a moment ago still counts, for up to 12 s.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
options:
  cluster:
    description: Only the holders that work on this cluster. All when omitted.
    type: str
"""

EXAMPLES = r"""
- name: See who works on the cluster
  relevo.postgres.operation_lock_info:
    cluster: main
  delegate_to: pgbackrest
  register: working
"""

RETURN = r"""
holders:
  description: The operations under way.
  returned: success
  type: list
  elements: dict
  contains:
    operation:
      description: What is being done, such as V(backup).
      type: str
    clusters:
      description: The clusters that it is done to.
      type: list
      elements: str
    requested_by:
      description: Who asked.
      type: str
    job:
      description: The number of the AWX job; empty where there is none.
      type: str
    since:
      description: When it began, in UTC, by the clock of the repository host.
      type: str
      sample: '2026-11-24T03:12:04Z'
    controller:
      description: The host on which C(ansible-playbook) runs.
      type: str
    process:
      description: The number of its process there.
      type: int
    play:
      description: A word that names this run of C(ansible-playbook) and no other.
      type: str
    sentence:
      description: All of this as a sentence, without its full stop.
      type: str
      sample: backup.yml by alice@ctl has been working on cluster main since 03:12:04 UTC (process 4711 on ctl)
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock import shown
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock_holder import Holders
from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module


def work(module: AnsibleModule) -> dict[str, Any]:
    cluster, now = module.params["cluster"], datetime.now(UTC)
    living = [holder for holder in Holders().living() if cluster is None or cluster in holder.clusters]
    return {"changed": False, "holders": [shown(holder, now) for holder in living]}


def main() -> None:
    module = AnsibleModule(argument_spec={"cluster": {"type": "str"}}, supports_check_mode=True)
    run_module(module, work)


if __name__ == "__main__":
    main()
