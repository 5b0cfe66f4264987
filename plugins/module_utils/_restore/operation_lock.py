# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation lock on the repository host, which nobody gets of a cluster that is being restored in place.

As a module and as a program: every play that changes something begins with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._cluster.operation_lock import Record
from .._cluster.operation_lock_holder import Holders
from .._errors import RelevoError
from .._repository.command import CONFIG
from .._repository.directory import answer_of
from .._repository.restore_record import RestoreRecord, place_of_records

#: What may be done to a half-restored cluster: to go on with it, to look at backups beside it, to remove all of it.
WHILE_RESTORING = {"restore", "restore_beside", "down", "remove"}


def require_no_restore(operation: str, clusters: list[str], config: Path = CONFIG) -> None:
    """Raise ``RelevoError`` where one of the clusters is being restored in place, even if nobody works on it now."""
    if operation in WHILE_RESTORING or not config.exists():
        return
    try:
        repository = place_of_records(config.read_text())
    except RelevoError:
        # The repository is another host's, and so is the record.
        return
    for unfinished in answer_of(repository, lambda: [RestoreRecord(name, repository).read() for name in clusters]):
        if unfinished:
            raise RelevoError(unfinished.sentence, unfinished_restore=unfinished.as_dict())


def take(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take the lock, or have it still; ``given``: the arguments of ``operation_lock_holder``, whose result it is."""
    params = dict(given)
    wait, prove = params.pop("wait"), params.pop("prove")
    operation, clusters = params["operation"], params["clusters"]
    require_no_restore(operation, clusters)
    taken = Holders().take(Record.from_dict({**params, "since": ""}), wait, prove)
    # Whoever was waited for may have been killed in the middle of one.
    require_no_restore(operation, clusters)
    return {"changed": False, "pipe": str(taken.pipe), "started": taken.started}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program; ``question``: all arguments of the module."""
    return take(question)
