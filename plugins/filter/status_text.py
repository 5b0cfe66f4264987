# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a cluster, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DOCUMENTATION = r"""
name: status_text
short_description: The state of a cluster as a table, with what needs attention
version_added: 0.1.0
description:
  - Draws the result of M(relevo.postgres.pg_primary_facts), with what the nodes' disks and the repository say.
author: The Relevo authors (@relevo)
positional: nodes, backups, cluster, down
options:
  _input:
    description: The result of M(relevo.postgres.pg_primary_facts).
    type: dict
    required: true
  nodes:
    description: By name, what M(relevo.postgres.pg_node_info) returned for the nodes that answered.
    type: dict
    required: true
  backups:
    description:
      - The repository's backups, oldest first, as M(relevo.postgres.pgbackrest_info) returns them.
      - None when the repository does not answer.
    type: list
    elements: dict
    required: true
  cluster:
    description: The cluster's name.
    type: str
    default: main
  down:
    description: By name, the state of a container that does not run, or the fence marker on its disk.
    type: dict
    default: {}
  archived:
    description: The newest timeline that the archive knows; 0 when that is not known.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Show the cluster
  relevo.postgres.report:
    text: "{{ cluster_topology | relevo.postgres.status_text({}, [], 'main') }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""


def status_text(*arguments: Any, **options: Any) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task 0.15 s.
    from ansible_collections.relevo.postgres.plugins.module_utils._cluster import status

    return status.status_text(*arguments, **options)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_text": status_text}
