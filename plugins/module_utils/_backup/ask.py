# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be known before a backup is decided on, asked at once on the repository host."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from .._repository.listing import listed
from .._repository.pgbackrest import PgBackRest, running_backup


def ask(given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``backup_cycle_info`` returns; ``given``: its arguments.

    Of several repositories, none of which is named, only the list. Without ``nodes`` nobody is asked who is primary,
    without ``catalog`` not Redis. Raises ``RelevoError``: first of all where there is no primary.
    """
    found: dict[str, Any] = {"changed": False, "repositories": listed(Path(given["config"]), given["only"])}
    numbers = [one["number"] for one in found["repositories"]]
    number = given["repository"] or (numbers[0] if len(numbers) == 1 else 0)
    if not number:
        return found
    pgbackrest = PgBackRest(given["stanza"], given["config"], number)
    # pgBackRest is another process, and the libraries take longer to load than all of them to answer.
    with ThreadPoolExecutor(max_workers=2) as pool:
        holds = pool.submit(pgbackrest.require_stanza)
        catalog = pool.submit(_catalog, given) if given["catalog"] else None
        if given["nodes"]:
            found["primary"] = _primary(given)
    entry = holds.result()
    if running_backup(entry) is not None:
        # Here and below: a program compiles what it loads, and mostly nobody is waited for.
        from .._repository.backup import wait_for_idle

        entry = wait_for_idle(pgbackrest, given["wait"])
    if catalog is not None:
        found["catalog"] = catalog.result()
    # The dates of the cycle are this host's.
    now = datetime.now().astimezone().isoformat()
    return found | {"number": number, "backups": entry.get("backup") or [], "now": now}


def _primary(given: Mapping[str, Any]) -> dict[str, Any]:
    from .primary import primary

    return primary(given)


def _catalog(given: Mapping[str, Any]) -> dict[str, Any]:
    """Whether Redis can be used, and otherwise why not: an answer, since Redis must not cost a backup."""
    from .._catalog.store import usable

    return usable(given["catalog"], given["stanza"])


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program; ``question``: ``arguments``."""
    return ask(question["arguments"])
