# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore in place has done."""

from __future__ import annotations

DOCUMENTATION = r"""
name: restore_report
short_description: What a restore in place has done
version_added: 0.1.0
description:
  - Takes the record of a restore in place, and returns what was done and how it is undone, for people.
author: The Relevo authors (@relevo)
positional: outcome, followers, backups
options:
  _input:
    description: The record (M(relevo.postgres.restore_record)).
    type: dict
    required: true
  outcome:
    description: What M(relevo.postgres.pg_restore_in_place) has returned.
    type: dict
    required: true
  followers:
    description: The registered results of M(relevo.postgres.pg_rejoin).
    type: dict
    required: true
  backups:
    description: The registered result of M(relevo.postgres.restore_backup).
    type: dict
    required: true
"""

EXAMPLES = r"""
text: "{{ record | relevo.postgres.restore_report(outcome, followers, full_backups) }}"
"""

RETURN = r"""
_value:
  description: Some lines.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def restore_report(
    record: Mapping[str, Any], outcome: Mapping[str, Any], followers: Mapping[str, Any], backups: Mapping[str, Any]
) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
    from ansible_collections.relevo.postgres.plugins.module_utils._restore.in_place import report

    standbys = [f"{result['item']} ({result['method']})" for result in followers.get("results") or []]
    return report(Unfinished.from_dict(record), outcome, standbys, backups)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"restore_report": restore_report}
