# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a fence in the repository: for a node whose disk could not be written to when it was fenced.

It stands below the repository's own path, because ``repo-get`` lets every node read what is there and nothing else.
It is written and withdrawn on the repository host: a node has ``repo-put`` at best, which knows no durable write,
cannot remove a file, and is gone from pgBackRest 2.60.

The start guard reads it before every start, so nothing here needs a library that takes a while to load.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from .. import _process
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._server import marker
from .command import RepositoryFiles, command_line

REPOSITORY_TIMEOUT = 10.0
#: Below the repository's path.
FOLDER = "relevo/fence"


@dataclass
class RepositoryReader(RepositoryFiles):
    """Reads single files for the start guard: with the messages as they are, and all within one deadline."""

    stanza: str
    timeout: float = REPOSITORY_TIMEOUT
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.timeout

    def read(self, command: str, *options: str, path: str, timeout: float) -> _process.Finished:
        remaining = max(0.1, round(self._deadline - time.monotonic(), 1))
        line = command_line(self.stanza, command, *options, words=[path], level="error")
        done = _process.run(line, min(timeout, remaining))
        finished = _process.Finished(done.returncode, done.stdout, done.stderr, 0.0)
        if done.returncode and not self.is_missing(finished):
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise RelevoError(f"pgbackrest {command} failed with {done.returncode}: {last}")
        return finished


def require_place(repository: Path) -> None:
    """Refuse the empty place of a share, where a record would be found by nobody."""
    if not repository.is_dir():
        raise RelevoError(f"The repository's directory {repository} does not exist. Nothing was written to it.")


def try_place(repository: Path) -> None:
    """Leave a file where a record would stand, and take it away: a disk may be full, or not be written to any more."""
    require_place(repository)
    path = repository / FOLDER / ".tried"
    try:
        for folder in (path.parent.parent, path.parent):
            marker.ensure_directory(folder)
        write_file(path, "tried\n", mode=0o640)
        path.unlink()
    except OSError as error:
        raise RelevoError(f"No record can be left in {repository}: {error.strerror}.") from error


@dataclass(frozen=True)
class FenceRecord:
    """The record of one node: where it stands, and who may do what with it."""

    node: str

    @property
    def name(self) -> str:
        """Relative to the repository's path."""
        return f"{FOLDER}/{self.node}.json"

    # --- on any node, through pgBackRest -------------------------------------------------------------------------

    def read(self, reader: RepositoryReader) -> marker.Marker | None:
        """The marker that it holds; None when there is none, or when it was withdrawn."""
        text = reader.get(self.name, raw=True)
        # Version 0.1.0 withdrew a record by emptying it.
        return marker.Marker.from_json("fence", text) if text and text.strip() else None

    # --- on the repository host ----------------------------------------------------------------------------------

    def text_in(self, repository: Path) -> str | None:
        path = repository / self.name
        return path.read_text() if path.exists() else None

    def write(self, repository: Path, content: str) -> bool:
        """Write it durably; returns whether that changed anything."""
        if self.text_in(repository) == content:
            return False
        require_place(repository)
        path = repository / self.name
        for folder in (path.parent.parent, path.parent):
            marker.ensure_directory(folder)
        # A group that may read backups may read this, too, as it is with pgBackRest's own files.
        write_file(path, content, mode=0o640)
        return True

    def withdraw(self, repository: Path) -> bool:
        """Remove it durably; returns whether there was one."""
        path = repository / self.name
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync_directory(path.parent)
        return True
