# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One plan of several of the same operation."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plans_together
short_description: One plan of several of the same operation
version_added: 0.1.0
description:
  - Takes plans of one operation on one cluster, such as those of its two repositories, and returns one plan of all.
author: The Relevo authors (@relevo)
options:
  _input:
    description: The plans, in the shape that docs/reference/plan.md describes.
    type: list
    elements: dict
"""

EXAMPLES = r"""
plan: "{{ plans | relevo.postgres.plans_together }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def plans_together(plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task time.
    from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan, together

    return together([OperationPlan.from_dict(plan) for plan in plans]).as_dict()


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"plans_together": plans_together}
