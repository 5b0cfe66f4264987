# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a lock of pgBackRest, which itself says no more than that somebody does.

The lock of a stanza's archive is held by whoever pushes WAL to it, here and on the repository host, for as long as its
list of segments takes (``command/remote/remote.c``): with a repository that hangs, nearly always. ``stanza-create`` and
``stanza-delete`` want it and that of the backups, ``expire`` and ``annotate`` that of the backups alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import raised_on

PROC = Path("/proc")
ANOTHER = "another pgBackRest command"
_FILE = re.compile(r"lock on file '(?P<path>[^']*?-(?P<kind>archive|backup|restore)(?:-\d+)?\.lock)'")
#: Those that take a lock, as they are named on their own command line.
_COMMANDS = ("annotate", "archive-get", "archive-push", "backup", "expire", "stanza-create", "stanza-delete")


@dataclass(frozen=True)
class Holder:
    """Who holds a lock; ``pushes``: it pushes WAL, from this host or from another one."""

    name: str
    pushes: bool = False

    @property
    def advice(self) -> str:
        """What to do when it does not let go, as a sentence without its end."""
        if not self.pushes:
            return "Run this again when it has ended"
        return (
            "It pushes for as long as a repository hangs (status.yml, repository-away): bring that one back, or stop "
            "it so that it refuses, then run this again"
        )


def holder(text: str, proc: Path = PROC) -> Holder:
    """Who holds the lock that a command's message is about."""
    found = _FILE.search(text)
    if found is None:
        return Holder(ANOTHER)
    archive = found["kind"] == "archive"
    where = raised_on(text, "")
    if where:
        return Holder(f"archive-push on {where}", pushes=True) if archive else Holder(f"{ANOTHER} on {where}")
    process = _process_in(Path(found["path"]))
    words = _words_of(process, proc) if process is not None else []
    command = next((name for word in words if (name := word.partition(":")[0]) in _COMMANDS), "")
    if command:
        return Holder(f"pgbackrest {command} (process {process})", command == "archive-push")
    if "server" in words:
        # A child of it does what another host asks for.
        what = "a server's archive-push" if archive else "a command of another host"
        return Holder(f"{what} (process {process} of pgBackRest's server here)", archive)
    return Holder(ANOTHER)


def _process_in(lock: Path) -> int | None:
    """The process that a lock's file names; None where it does not, or is gone."""
    try:
        return int(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        # It is written after it is locked, and removed before it is let go.
        return None


def _words_of(process: int, proc: Path) -> Sequence[str]:
    try:
        return (proc / str(process) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []
