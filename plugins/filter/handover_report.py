# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text at the end of a hand-over."""

from __future__ import annotations

DOCUMENTATION = r"""
name: handover_report
short_description: Say what a hand-over did
version_added: 0.1.0
description:
  - Takes the plan of M(relevo.postgres.pg_handover_plan) and the results of the steps that followed, and returns a
    text. A step that was not taken is left out or skipped.
author: The Relevo authors (@relevo)
positional: primary, nodes, answering
options:
  _input:
    description: The plan.
    type: dict
    required: true
  primary:
    description: Who is primary now.
    type: str
    required: true
  nodes:
    description: The names of the cluster's nodes.
    type: list
    elements: str
    required: true
  answering:
    description: The names of those that answer.
    type: list
    elements: str
    required: true
  switchover:
    description: The result of M(relevo.postgres.pg_switchover).
    type: dict
    default: {}
  fence:
    description: The result of M(relevo.postgres.pg_fence).
    type: dict
    default: {}
  promotion:
    description: The result of M(relevo.postgres.pg_promote).
    type: dict
    default: {}
  followers:
    description: The result of a loop of M(relevo.postgres.pg_rejoin) over the names of nodes.
    type: dict
    default: {}
  synchronous:
    description: The result of M(relevo.postgres.pg_synchronous).
    type: dict
    default: {}
  archive:
    description: The result of M(relevo.postgres.pg_archive_gap).
    type: dict
    default: {}
  archiving:
    description: The result of M(relevo.postgres.pgbackrest_stanza), which proves that archiving works.
    type: dict
    default: {}
"""

EXAMPLES = r"""
text: "{{ plan | relevo.postgres.handover_report('db2', ['db1', 'db2'], ['db1', 'db2'], switchover=done) }}"
"""

RETURN = r"""
_value:
  description: The text, in lines.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def taken(result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The result of a task, or nothing where it was skipped."""
    return {} if not result or result.get("skipped") else result


def handover_report(
    plan: Mapping[str, Any],
    primary: str,
    nodes: Sequence[str],
    answering: Sequence[str],
    *,
    switchover: Mapping[str, Any] | None = None,
    fence: Mapping[str, Any] | None = None,
    promotion: Mapping[str, Any] | None = None,
    followers: Mapping[str, Any] | None = None,
    synchronous: Mapping[str, Any] | None = None,
    archive: Mapping[str, Any] | None = None,
    archiving: Mapping[str, Any] | None = None,
) -> str:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters where one is used, and an emergency begins with one.
    from ansible_collections.relevo.postgres.plugins.module_utils._handover.report import Outcome, report

    outcome = Outcome(
        plan=plan,
        primary=primary,
        nodes=nodes,
        answering=answering,
        switchover=taken(switchover),
        fence=taken(fence),
        promotion=taken(promotion),
        followers={result["item"]: result for result in taken(followers).get("results", [])},
        synchronous=str(taken(synchronous).get("message") or ""),
        archive=taken(archive),
        proved=bool(taken(archiving)),
    )
    return report(outcome)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"handover_report": handover_report}
