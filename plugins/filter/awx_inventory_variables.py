# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables to write into an inventory of AWX."""

from __future__ import annotations

DOCUMENTATION = r"""
name: awx_inventory_variables
short_description: The variables to write into an inventory of AWX
version_added: 0.1.0
description:
  - Takes the variables that an inventory should have and returns them together with the others that AWX holds in it.
  - Each update of an inventory writes the variables of its file's group C(all) there; without them, the next run would
    take them away again.
author: The Relevo authors (@relevo)
positional: held, organization
options:
  _input:
    description: The variables that it should have.
    type: dict
    required: true
  held:
    description: The inventories of that name, as P(awx.awx.controller_api#lookup) returns them.
    type: list
    elements: dict
    required: true
  organization:
    description: The name of the inventory's organization.
    type: str
    required: true
"""

EXAMPLES = r"""
variables: "{{ item.variables | relevo.postgres.awx_inventory_variables(held, item.organization) }}"
"""

RETURN = r"""
_value:
  description: The variables, in the order in which AWX holds them.
  type: dict
"""


from collections.abc import Callable, Mapping, Sequence
from typing import Any


def awx_inventory_variables(
    wanted: Mapping[str, Any], held: Sequence[Mapping[str, Any]], organization: str
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._awx import added_to

    ours = (one["variables"] for one in held if one["summary_fields"]["organization"]["name"] == organization)
    return added_to(next(ours, None), wanted)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"awx_inventory_variables": awx_inventory_variables}
