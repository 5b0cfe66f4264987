# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that turns the catalog into the text of a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

DOCUMENTATION = r"""
name: catalog_text
short_description: Show the catalog of backups as text
version_added: 0.1.0
description:
  - Joins what M(relevo.postgres.redis_backup_info) returned with the repository's own information, and returns a view.
  - Backups that are not recorded yet are shown too. Without Redis, the repository's list is shown.
author:
  - The Relevo authors (@relevo)
positional: view
options:
  _input:
    description: The result of M(relevo.postgres.redis_backup_info).
    type: dict
    required: true
  view:
    description: The view.
    type: str
    choices: [table, detail, info, size, json]
    default: table
  information:
    description: The stanza's entry in the output of C(pgbackrest info --output=json).
    type: dict
    default: {}
  stanza:
    description: Name of the stanza.
    type: str
    default: main
  repo_path:
    description: Path of the repository.
    type: path
    default: /var/lib/pgbackrest
  usage:
    description: The result of M(relevo.postgres.repository_usage), for V(info) and V(size).
    type: dict
  holes:
    description: What M(relevo.postgres.pgbackrest_info) returned as C(holes).
    type: list
    elements: dict
    default: []
  limit:
    description: How many of the newest backups to show; 0 means all.
    type: int
    default: 0
  language:
    description: The language of headings, notes and totals. V(json) is the stored record in either.
    type: str
    choices: [es, en]
    default: es
"""

EXAMPLES = r"""
- name: Show the catalog
  relevo.postgres.report:
    text: "{{ catalog | relevo.postgres.catalog_text('table', information=repository.raw) }}"
"""

RETURN = r"""
_value:
  description: The view's text.
  type: str
"""


def catalog_text(
    catalog: Mapping[str, Any],
    view: str = "table",
    information: Mapping[str, Any] | None = None,
    stanza: str = "main",
    repo_path: str = "/var/lib/pgbackrest",
    usage: Mapping[str, Any] | None = None,
    limit: int = 0,
    language: str = "es",
    holes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the text of ``view``."""
    # Here, since Ansible loads all filters in each worker that uses one: at the top it costs every task 0.15 s.
    from ansible_collections.relevo.postgres.plugins.module_utils._catalog.views import catalog_of, render

    try:
        joined = catalog_of(catalog, information or {}, stanza, repo_path, int(limit), language, holes)
        return render(view, joined, usage)
    except RelevoError as error:
        raise AnsibleFilterError(error.message) from error


class FilterModule:
    """The collection's filters for the catalog."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"catalog_text": catalog_text}
