# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that reads what was answered to the menu of cleanup.yml."""

from __future__ import annotations

from collections.abc import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

DOCUMENTATION = r"""
name: cleanup_operation
short_description: Read the answer to the menu of cleanup.yml
version_added: 0.1.0
description:
  - Returns the operation that a name, or a number of the menu, stands for; V(show) for no answer.
author:
  - The Relevo authors (@relevo)
options:
  _input:
    description: What was typed, or given with C(-e operation=).
    type: str
    required: true
"""

EXAMPLES = r"""
operation: "{{ answer.user_input | relevo.postgres.cleanup_operation }}"
"""

RETURN = r"""
_value:
  description: One of V(show), V(keep), V(retention), V(orphans), V(all).
  type: str
"""


def cleanup_operation(answer: str) -> str:
    """See DOCUMENTATION."""
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.cleanup import parse_operation

    try:
        return parse_operation(str(answer))
    except RelevoError as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filter by name."""
        return {"cleanup_operation": cleanup_operation}
