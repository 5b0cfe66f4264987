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

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from .._errors import RelevoError
from .._server import marker
from .._server.server import run_as_postgres, sync_directory, write_file

REPOSITORY_TIMEOUT = 10.0
#: ``repo-get --ignore-missing`` ends with it, and without a message, when the file is not there.
EXIT_MISSING = 1


@dataclass
class RepositoryReader:
    """Reads single files of the repository through pgBackRest, all within one deadline.

    pgBackRest's server lets a node read below its repository path with ``repo-get`` and ``repo-ls``, provided that
    ``--stanza`` names a stanza that ``tls-server-auth`` grants it (measured with 2.55.1; 0.09 s a call).
    """

    stanza: str
    timeout: float = REPOSITORY_TIMEOUT
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.timeout

    def _call(self, *arguments: str) -> tuple[int, str]:
        command = ["pgbackrest", f"--stanza={self.stanza}", "--log-level-console=off", "--log-level-stderr=error"]
        done = run_as_postgres([*command, *arguments], timeout=max(0.1, round(self._deadline - time.monotonic(), 1)))
        message = done.stderr.strip()
        if done.returncode and (message or done.returncode != EXIT_MISSING):
            last = message.splitlines()[-1] if message else "no message"
            raise RelevoError(f"pgbackrest {arguments[0]} failed with {done.returncode}: {last}")
        return done.returncode, done.stdout

    def get(self, path: str, raw: bool = False) -> str | None:
        """The file's text, or None when the repository answers that it has none."""
        # An encrypted repository has no passphrase for files outside of archive/ and backup/: read them as they are.
        code, text = self._call("repo-get", "--ignore-missing", *(["--raw"] if raw else []), path)
        return text if code == 0 else None

    def names(self, path: str, pattern: str) -> list[str]:
        code, text = self._call("repo-ls", "--output=json", f"--filter={pattern}", path)
        return sorted(json.loads(text)) if code == 0 else []


@dataclass(frozen=True)
class FenceRecord:
    """The record of one node: where it stands, and who may do what with it."""

    node: str

    @property
    def name(self) -> str:
        """Relative to the repository's path."""
        return f"relevo/fence/{self.node}.json"

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
        if not repository.is_dir():
            raise RelevoError(f"The repository's directory {repository} does not exist. Nothing was written to it.")
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
