# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which server a backup was made."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_primary
short_description: Say of which server a backup was made
version_added: 0.1.0
description:
  - Compares who was primary before and after a backup with the timeline of its first WAL segment.
  - Fails when that does not tell.
author: The Relevo authors (@relevo)
positional: before, after
options:
  _input:
    description: The backup as it appears in the output of C(pgbackrest info --output=json).
    type: dict
    required: true
  before:
    description: The primary before the backup, with C(name) and C(timeline).
    type: dict
    required: true
  after:
    description: The primary after it.
    type: dict
    required: true
"""

EXAMPLES = r"""
primary: "{{ made.backup | relevo.postgres.backup_primary(before, cluster_topology.primary) }}"
"""

RETURN = r"""
_value:
  description: The inventory name of the server.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError


def backup_primary(backup: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task 0.15 s.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import primary_of

    try:
        return primary_of(backup, before, after)
    except RelevoError as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"backup_primary": backup_primary}
