# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets the data of a restore in place first."""

from __future__ import annotations

DOCUMENTATION = r"""
name: restored_node
short_description: Who gets the data of a restore in place first
version_added: 0.1.0
description:
  - Takes the names of the servers that take writes, and returns the node that a restore in place begins with.
author: The Relevo authors (@relevo)
positional: preferred, unfinished
options:
  _input:
    description: The names of the servers that take writes.
    type: list
    elements: str
    required: true
  preferred:
    description: The preferred primary.
    type: str
    required: true
  unfinished:
    description: The record of a restore that is not finished (M(relevo.postgres.restore_record)), if there is one.
    type: dict
"""

EXAMPLES = r"""
node: "{{ cluster_topology.primaries | relevo.postgres.restored_node('postgres_master') }}"
"""

RETURN = r"""
_value:
  description: The name of the node.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def restored_node(primaries: Sequence[str], preferred: str, unfinished: Mapping[str, Any] | None = None) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._restore.in_place import restored_node as decide

    return decide(primaries, preferred, unfinished)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"restored_node": restored_node}
