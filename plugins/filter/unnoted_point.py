# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a restore point is not found by its name where it is looked for, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unnoted_point
short_description: Say that a restore point is not found by its name
version_added: 0.1.0
description:
  - Returns the sentences that C(restore_point.yml) fails with where the first repository, which C(restore.yml) reads
    unless it is told otherwise, does not know the name of the point; nothing where it does.
author: The Relevo authors (@relevo)
positional: made, noted
options:
  _input:
    description: The name of the point.
    type: str
    required: true
  made:
    description: What M(relevo.postgres.pg_restore_point) has returned.
    type: dict
    required: true
  noted:
    description: What M(relevo.postgres.pgbackrest_annotate) has returned of each repository.
    type: dict
    required: true
"""

EXAMPLES = r"""
said: "{{ 'before_release' | relevo.postgres.unnoted_point(made, noted) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def unnoted_point(name: str, made: Mapping[str, Any], noted: Mapping[str, Any]) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._restore.points import unnoted

    return unnoted(name, made["lsn"], noted["noted"], noted["away"])


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"unnoted_point": unnoted_point}
