# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that judge what catalog_check.yml has measured, and say it in each of its forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

DOCUMENTATION = r"""
name: catalog_reports
short_description: Judge whether backups can be trusted
version_added: 0.1.0
description:
  - Compares what M(relevo.postgres.catalog_info) has measured with limits, and returns a report of each cluster.
author:
  - The Relevo authors (@relevo)
positional: statuses, limits, left_out
options:
  _input:
    description: The facts of each cluster, by its name.
    type: dict
    required: true
  statuses:
    description: The status of each cluster, as C(status.yml) prints it, with its name as C(cluster).
    type: list
    elements: dict
    required: true
  limits:
    description: The limits, by their names in the role C(catalog_check), without its prefix C(catalog_check_max_).
    type: dict
    required: true
  left_out:
    description: The clusters whose repository host does not answer, each with that sentence.
    type: dict
    default: {}
"""

EXAMPLES = r"""
reports: "{{ {'main': measured.facts} | relevo.postgres.catalog_reports([status], {'backup_age': 93600}) }}"
"""

RETURN = r"""
_value:
  description: A report of each cluster, with C(cluster), C(at), C(trusted), C(checks), C(metrics) and C(text).
  type: list
  elements: dict
"""


def catalog_reports(
    facts: Mapping[str, Mapping[str, Any]],
    statuses: Sequence[Mapping[str, Any]],
    limits: Mapping[str, Any],
    left_out: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one.
    from ansible_collections.relevo.postgres.plugins.module_utils._catalog.check import judge, limits_of, not_reached

    known = {str(status["cluster"]): status for status in statuses}
    reports = [judge(cluster, found, known.get(cluster, {}), limits_of(limits)) for cluster, found in facts.items()]
    reports += [not_reached(cluster, why, datetime.now(UTC)) for cluster, why in (left_out or {}).items()]
    return [{**report.as_dict(), "text": report.text} for report in reports]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"catalog_reports": catalog_reports}
