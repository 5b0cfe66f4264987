# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pgbackrest_backup`` does on the repository host, as a module and as a program."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._errors import RelevoError
from .._repository.backup import TYPES, BackupMade, BackupRequest, make_backup
from .._repository.pgbackrest import PgBackRest


def request_of(given: Mapping[str, Any]) -> BackupRequest:
    return BackupRequest(
        type=given["type"],
        annotations=given["annotations"],
        online=given["online"],
        force=given["force"],
        host=given["host"],
        process_max=given["process_max"],
        retention_full=given["retention_full"],
        timeout=given["timeout"],
        connect_timeout=given["connect_timeout"],
    )


def warnings_of(made: BackupMade) -> list[str]:
    """What pgBackRest warned of, and what we do."""
    said = [f"pgBackRest: {message}" for message in made.finished.messages("WARN")]
    if made.forced:
        said.append("The files of a running server were copied. Most likely this backup cannot be restored.")
    said += [
        f"{host} did not answer and was left out of the backup's view. Start it, or run rejoin.yml."
        for host in made.unreachable
    ]
    return said


def result_of(made: BackupMade) -> dict[str, Any]:
    """What the module returns, and its ``warnings``."""
    result = {
        "changed": made.backup is not None,
        "skipped_step": made.backup is None,
        "expired": made.expired,
        "unreachable_nodes": made.unreachable,
        "duration": round(made.finished.seconds, 1),
        "warnings": warnings_of(made),
    }
    if made.backup is not None:
        label = made.backup["label"]
        result |= {"label": label, "type": TYPES[label[-1]], "backup": made.backup}
    return result


def make(given: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make one backup, and ask who is primary when it has ended; returns the module's result with its ``warnings``."""
    pgbackrest = PgBackRest(given["stanza"], given["config"], given["repository"])
    request = request_of(given)
    request.validate()
    if check_mode:
        nothing: dict[str, Any] = {"skipped_step": False, "expired": [], "unreachable_nodes": [], "duration": 0.0}
        return {"changed": True, "command": pgbackrest.line("backup", *request.options()), "warnings": [], **nothing}
    servers = given["primary"] if given["primary"] and given["primary"]["nodes"] else None
    with ThreadPoolExecutor(max_workers=1) as pool:
        if servers:
            # Takes 0.2 s: while pgBackRest works it costs nothing.
            pool.submit(_load)
        result = result_of(make_backup(pgbackrest, request))
    if servers:
        from .primary import primary

        try:
            result["primary_now"] = primary(servers)
        except RelevoError as error:
            made = f"The backup {result['label']} was made. " if "label" in result else ""
            raise RelevoError(f"{made}{error.message}", **{**error.details, **result}) from error
    return result


def _load() -> None:
    from . import primary  # noqa: F401


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program; ``question``: ``arguments`` and ``check_mode``."""
    return make(question["arguments"], question["check_mode"])
