# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the backup cycle did, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_report
short_description: Say what a run of the backup cycle did
version_added: 0.1.0
description:
  - Returns the text that C(backup.yml) ends with.
author: The Relevo authors (@relevo)
positional: made, stanza, repository
options:
  _input:
    description: The result of M(relevo.postgres.backup_cycle_plan).
    type: dict
    required: true
  made:
    description: The results of M(relevo.postgres.pgbackrest_backup), each with the C(primary) that was backed up.
    type: list
    elements: dict
    required: true
  stanza:
    description: The stanza.
    type: str
    default: main
  repository:
    description: What the repository is called, where there are two.
    type: str
    default: ""
"""

EXAMPLES = r"""
text: "{{ plan | relevo.postgres.backup_report(results, 'main') }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def backup_report(
    plan: Mapping[str, Any], made: Sequence[Mapping[str, Any]], stanza: str = "main", repository: str = ""
) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task 0.15 s.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import report_text

    return report_text(plan, made, stanza, repository)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"backup_report": backup_report}
