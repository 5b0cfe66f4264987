# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of files on a node, written in one go: a role would otherwise need one task per file."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._durable import replace_file, replace_files, sync_directory
from ._errors import RelevoError


@dataclass(frozen=True)
class Entry:
    """A file with its content, or (``content`` None) a directory; ``absent``: there must be no such file.

    ``judged``: a program has said of its content that it takes it.
    """

    path: Path
    content: str | None
    owner: str
    group: str
    mode: int
    absent: bool = False
    judged: bool = False

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Entry:
        return cls(
            Path(given["path"]),
            given["content"],
            given["owner"],
            given["group"],
            int(given["mode"], 8),
            given.get("absent", False),
            bool(given.get("judge")),
        )

    def ids(self) -> tuple[int, int]:
        try:
            return pwd.getpwnam(self.owner).pw_uid, grp.getgrnam(self.group).gr_gid
        except KeyError as error:
            raise RelevoError(f"{self.path}: {error.args[0]} on this node. Install its packages first.") from error

    def current(self) -> str | None:
        """The content that is there; None when there is none."""
        if (self.content is None and not self.absent) or not self.path.is_file():
            return None
        return self.path.read_text()

    def differs(self) -> bool:
        if self.absent:
            return self.path.is_file()
        if not (self.path.is_dir() if self.content is None else self.path.is_file()):
            return True
        found = self.path.stat()
        return (found.st_uid, found.st_gid, found.st_mode & 0o7777) != (*self.ids(), self.mode) or (
            self.current() != self.content
        )

    def make_directory(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        os.chown(self.path, *self.ids())
        self.path.chmod(self.mode)
        sync_directory(self.path.parent)

    def write(self) -> None:
        """Put it in place: a file as a whole, never half."""
        write_all([self])


def write_all(entries: Sequence[Entry]) -> None:
    """Directories first, then all files at one moment, as far as there is such a thing."""
    there = [entry for entry in entries if not entry.absent]
    files = [(entry.path, entry.content, entry.mode, entry.ids()) for entry in there if entry.content is not None]
    for entry in there:
        if entry.content is None:
            entry.make_directory()
    replace_files(files)
    for entry in entries:
        if entry.absent:
            entry.path.unlink(missing_ok=True)
            sync_directory(entry.path.parent)


#: An option of pgBackRest that is a secret. Whoever calls may not know of one that is only in the file of before.
_SECRET = re.compile(r"^[a-z0-9-]+-(pass|key|key-secret|token)=", re.MULTILINE)


def _shown(text: str) -> str:
    return "(it holds a secret, and is not shown)\n" if _SECRET.search(text) else text


def bring(wanted: Sequence[Entry], check_mode: bool = False) -> tuple[list[str], list[dict[str, str]]]:
    """Write those that differ, in this order; returns their paths, and what Ansible shows as differences."""
    differing = [entry for entry in wanted if entry.differs()]
    changed, diffs = [str(entry.path) for entry in differing], []
    for entry in differing:
        path = str(entry.path)
        diffs.append(
            {
                "before_header": path,
                "after_header": path,
                "before": _shown(entry.current() or ""),
                "after": _shown("" if entry.absent else entry.content or ""),
            }
        )
    if not check_mode:
        write_all(differing)
    return changed, diffs


# --- what is replaced, until it is known whether the new ones work ----------------------------------------------------


def keep_former(wanted: Sequence[Entry], path: Path) -> bool:
    """Keep in ``path`` what is in the place of these files; returns whether anything is kept there.

    What is kept already stays: it worked, and what has come since has not been proved. A file that is made for the
    first time has nothing to go back to, and so has none of them.
    """
    files = [entry for entry in wanted if entry.content is not None or entry.absent]
    if path.exists() or not any(entry.differs() for entry in files):
        return path.exists()
    if not all(entry.path.is_file() for entry in files if entry.judged):
        return False
    kept = [_as_it_is(entry.path) for entry in files]
    replace_file(path, json.dumps(kept), 0o600, (os.geteuid(), os.getegid()))
    return True


def _as_it_is(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"path": str(path), "content": None, "uid": 0, "gid": 0, "mode": 0}
    found = path.stat()
    of_file = {"uid": found.st_uid, "gid": found.st_gid, "mode": found.st_mode & 0o7777}
    return {"path": str(path), "content": path.read_text(), **of_file}


def restore_former(path: Path, check_mode: bool = False) -> list[str]:
    """Bring back what is kept in ``path``, and forget it; returns the files that are others by that."""
    kept = json.loads(path.read_text())
    changed = [file for file in kept if _as_it_is(Path(file["path"])) != file]
    if not check_mode:
        there = [file for file in changed if file["content"] is not None]
        replace_files([(Path(one["path"]), one["content"], one["mode"], (one["uid"], one["gid"])) for one in there])
        for file in changed:
            if file["content"] is None:
                Path(file["path"]).unlink()
                sync_directory(Path(file["path"]).parent)
        forget_former(path)
    return [file["path"] for file in changed]


def forget_former(path: Path) -> None:
    path.unlink()
    sync_directory(path.parent)
