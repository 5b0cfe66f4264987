# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``redis_backup_record`` does on the repository host, as a module and as a program."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._catalog.records import (
    Plan,
    catalog_name,
    desired_records,
    index_for,
    key_for,
    newest_first,
)
from .._errors import RelevoError
from .._repository.pgbackrest import PgBackRest


def diff_of(plan: Plan, existing: Mapping[str, Any]) -> dict[str, Any]:
    changed = newest_first([*plan.write, *plan.delete])
    return {
        "before_header": "catalog",
        "after_header": "catalog",
        "before": {key: existing[key] for key in changed if key in existing},
        "after": {key: plan.write[key] for key in changed if key in plan.write},
    }


def record(given: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make the catalog equal to the repository; returns the module's result with its ``warnings``.

    Where no ``backups`` are given pgBackRest is asked, while the library for Redis is loaded.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        holds = pool.submit(_holds, given)
        # Here: it takes as long to load as pgBackRest to answer.
        from .._catalog import store
    if store.IMPORT_ERROR:
        raise RelevoError(store.LACKING)
    return _record(given, *holds.result(), not check_mode)


def _holds(given: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The backups, and pgBackRest's list ``db``, which knows the system identifiers."""
    if given["backups"] is not None or given["state"] != "synced":
        return given["backups"] or [], given["databases"]
    entry = PgBackRest(given["stanza"], given["config"], given["repository"]).require_stanza()
    return entry.get("backup") or [], entry.get("db") or []


def _record(
    given: Mapping[str, Any], backups: list[dict[str, Any]], databases: list[dict[str, Any]], write: bool
) -> dict[str, Any]:
    from .._catalog.store import RedisError, connected, forget_left, remove_records, synchronise

    stanza = catalog_name(given["stanza"], given["repository"])
    try:
        with connected(given) as client:
            if given["state"] == "absent":
                keys = given["keys"] or [key_for(backup["label"], stanza) for backup in backups]
                plan, existing = remove_records(client, stanza, keys, write)
            else:
                desired = desired_records(backups, stanza, given["repo_path"], databases)
                prune = given["state"] == "synced"
                plan, existing = synchronise(client, stanza, desired, write, given["search"], prune)
            left = forget_left(client, given["stanza"], write) if given["only_repository"] else []
            total = client.zcard(index_for(stanza))
    except RedisError as error:
        if given["unreachable"] == "fail":
            raise
        return {"changed": False, "reachable": False, "reason": error.message, "kind": error.kind, **error.details}
    blocked = f"Not recorded, because something else has their key: {', '.join(plan.blocked)}."
    return {
        "changed": bool(plan.write or plan.delete or left),
        "reachable": True,
        "written": newest_first(plan.write),
        "removed": [*newest_first(plan.delete), *left],
        "orphans": newest_first(plan.orphans),
        "foreign": sorted(plan.foreign),
        "adoptable": [
            {"key": key, "label": label, "primary": primary} for key, (label, primary) in plan.adoptable.items()
        ],
        "total": total,
        "diff": diff_of(plan, existing),
        "warnings": [blocked] if plan.blocked else [],
    }


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program; ``question``: ``arguments`` and ``check_mode``."""
    return record(question["arguments"], question["check_mode"])
