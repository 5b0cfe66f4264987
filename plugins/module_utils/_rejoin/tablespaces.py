# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of the primary's tablespaces, which each node must have at the same place before it gets a copy.

Replay, pg_basebackup and pgBackRest all fail without them, and only after what came before has been copied.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .plan import Method

LOCATIONS = """
SELECT spcname AS name, pg_tablespace_location(oid) AS path FROM pg_tablespace
 WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY spcname"""

State = Literal["missing", "creatable", "no-directory", "not-ours", "empty", "filled"]


@dataclass(frozen=True)
class Tablespace:
    """One of the primary's, and what this node has at its ``path``; ``creatable``: missing, in a directory of ours."""

    name: str
    path: str
    state: State


def look(locations: Mapping[str, str], owner: int) -> list[Tablespace]:
    """What this node has at each location, by tablespace; ``owner``: the user that the server runs as."""
    return [Tablespace(name, path, _state(Path(path), owner)) for name, path in locations.items()]


def _state(path: Path, owner: int) -> State:
    if not path.exists():
        parent = next(parent for parent in path.parents if parent.exists())
        return "creatable" if parent.is_dir() and parent.stat().st_uid == owner else "missing"
    if not path.is_dir():
        return "no-directory"
    if path.stat().st_uid != owner:
        return "not-ours"
    return "filled" if any(os.scandir(path)) else "empty"


def refusal(node: str, tablespaces: Sequence[Tablespace], methods: Sequence[Method]) -> str:
    """Why ``node`` cannot get a copy by the first of ``methods``, as a sentence; empty when it can.

    Only a base backup needs empty directories: a restore and a rewind go on with what is there.
    """
    empty = list(methods[:1]) == ["basebackup"]
    wrong = [_wrong(one) for one in tablespaces if one.state in _FAULTS and (empty or one.state != "filled")]
    if not wrong:
        return ""
    return (
        f"{node} cannot get a copy of the primary, which has tablespaces: {'; '.join(wrong)}. Its data was not changed."
    )


_FAULTS: dict[State, str] = {
    "missing": "is missing there (install -d -o postgres -g postgres -m 700 {path})",
    "no-directory": "is not a directory there",
    "not-ours": "does not belong to postgres there (chown postgres:postgres {path})",
    "filled": "is not empty there: move what it holds to another place",
}


def _wrong(one: Tablespace) -> str:
    return f"{one.path} of the tablespace {one.name} {_FAULTS[one.state].format(path=one.path)}"
