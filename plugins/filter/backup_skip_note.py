# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a skipped step is remembered."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_skip_note
short_description: Return how a skipped step of the cycle is remembered
version_added: 0.1.0
description:
  - A step that was skipped because nothing had changed is noted at the newest backup,
    by M(relevo.postgres.pgbackrest_annotate).
author: The Relevo authors (@relevo)
positional: step
options:
  _input:
    description: The repository's backups.
    type: list
    elements: dict
    required: true
  step:
    description: The step, as M(relevo.postgres.backup_cycle_plan) returned it.
    type: dict
    required: true
"""

EXAMPLES = r"""
note: "{{ repository.backups | relevo.postgres.backup_skip_note(plan.steps[0]) }}"
"""

RETURN = r"""
_value:
  description: The newest backup's C(label), and its C(annotations).
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def backup_skip_note(backups: Sequence[Mapping[str, Any]], step: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task 0.15 s.
    from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import SKIPPED, skip_note

    label, note = skip_note(backups, step)
    return {"label": label, "annotations": {SKIPPED: note}}


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"backup_skip_note": backup_skip_note}
