#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the catalog of backups."""

from __future__ import annotations

DOCUMENTATION = r"""
module: catalog_view
short_description: Show the catalog of backups
version_added: 0.1.0
description:
  - Joins the catalog in Redis with what the repository holds, and returns a view of it. Runs on the repository host, so
    that a page of a large catalog is all that leaves it.
  - Backups that are not recorded yet are shown too. Without Redis, the repository's list is shown.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.attributes.info_module
  - relevo.postgres.pgbackrest
  - relevo.postgres.repository
  - relevo.postgres.redis
attributes:
  action_group:
    description: Use C(group/relevo.postgres.redis) and C(group/relevo.postgres.pgbackrest) in C(module_defaults).
    support: full
    membership:
      - relevo.postgres.redis
      - relevo.postgres.pgbackrest
options:
  view:
    description: The view.
    type: str
    choices: [table, detail, info, size, json, html]
    default: table
  language:
    description: The language of headings, notes and totals. V(json) is the stored record in either.
    type: str
    choices: [es, en]
    default: es
  limit:
    description: How many of the newest backups to show; 0 means all.
    type: int
    default: 0
  type:
    description: Only backups of this type; V(full), V(diff), V(incr), or as the records have it.
    type: str
    default: ""
  primary:
    description: Only backups taken from this primary.
    type: str
    default: ""
  verified:
    description: Only backups that a drill has restored and found good (V(true)), or only the others (V(false)).
    type: bool
  since:
    description: Only backups whose label is of this moment or later, such as V(2026-11-25) or V(2026-11-25 12:00).
    type: str
    default: ""
  before:
    description: Only backups whose label is of before this moment.
    type: str
    default: ""
  search:
    description: Whether to search the keyspace of Redis for records that the index does not know.
    type: bool
    default: false
  repo_path:
    description: The repository's path, of which a record's C(direccion_almacenamiento) is made.
    type: path
    default: /var/lib/pgbackrest
  usage:
    description: The result of M(relevo.postgres.repository_usage), for V(info) and V(size).
    type: dict
  read_timeout:
    description: Seconds for each question to the repository.
    type: float
    default: 30
seealso:
  - module: relevo.postgres.redis_backup_record
  - module: relevo.postgres.repository_usage
"""

EXAMPLES = r"""
- name: Show the full backups of this year
  relevo.postgres.catalog_view:
    host: redis
    password: "{{ catalog_redis_password }}"
    type: full
    since: 2026-01-01
  register: shown
"""

RETURN = r"""
text:
  description: The view.
  type: str
  returned: success
reachable:
  description: Whether Redis could be used; otherwise what is shown is the repository's own list.
  type: bool
  returned: success
reason:
  description: The sentence that says why Redis could not be used.
  type: str
  returned: when RV(reachable) is false
kind:
  description:
    - V(unavailable) when the failure may pass by itself, for example a stopped, hanging or full server.
    - V(refused) when it does not, for example a wrong password.
  type: str
  returned: when RV(reachable) is false
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.arguments import connection_spec
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.filters import Filters
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.model import catalog_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page import page_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page_html import page
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import catalog_name
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    IMPORT_ERROR,
    RedisError,
    connected,
)
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.views import VIEWS, render
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest, labels_of
from ansible_collections.relevo.postgres.plugins.module_utils._restore.facts import settled_repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import all_gaps, all_stretches


def read_catalog(params: dict[str, Any], filters: Filters, labels: list[str]) -> dict[str, Any]:
    name = catalog_name(params["stanza"], params["repository"])
    try:
        with connected(params) as client:
            return page_of(client, name, filters, params["limit"], labels, params["search"])
    except RedisError as error:
        if params["unreachable"] == "fail":
            raise
        return {"reachable": False, "reason": error.message, "kind": error.kind}


def work(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    asked = {name: params[name] for name in ("type", "primary", "verified", "since", "before")}
    filters = Filters.given(**asked)
    pgbackrest = PgBackRest(params["stanza"], params["config"], params["repository"])
    entry = pgbackrest.require_stanza(params["read_timeout"])
    repository = settled_repository(pgbackrest, entry, params["read_timeout"])
    found = read_catalog(params, filters, labels_of(entry))
    catalog = catalog_of(
        found,
        entry,
        catalog_name(params["stanza"], params["repository"]),
        params["repo_path"],
        params["limit"],
        params["language"],
        all_gaps(repository),
        filters,
        all_stretches(repository),
    )
    answer: dict[str, Any] = {name: found[name] for name in ("reachable", "reason", "kind") if name in found}
    if params["view"] == "html":
        return {"changed": False, **answer, "text": page(catalog, params["usage"], datetime.now(UTC))}
    return {"changed": False, **answer, "text": render(params["view"], catalog, params["usage"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_spec(),
            "stanza": {"type": "str", "default": "main"},
            "config": {"type": "path", "default": str(_names.PGBACKREST_CONF)},
            "repository": {"type": "int", "default": 1},
            "view": {"type": "str", "choices": [*VIEWS, "html"], "default": "table"},
            "language": {"type": "str", "choices": ["es", "en"], "default": "es"},
            "limit": {"type": "int", "default": 0},
            "type": {"type": "str", "default": ""},
            "primary": {"type": "str", "default": ""},
            "verified": {"type": "bool"},
            "since": {"type": "str", "default": ""},
            "before": {"type": "str", "default": ""},
            "search": {"type": "bool", "default": False},
            "repo_path": {"type": "path", "default": str(_names.REPOSITORY_DIR)},
            "usage": {"type": "dict"},
            "read_timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"redis": IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
