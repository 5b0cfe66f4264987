# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a fence on the repository host: for a node that could not be written to when it was fenced.

The start guard reads it before every start, so nothing here needs a library that takes a while to load.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from .._errors import RelevoError
from .._server.server import run_as_postgres

REPOSITORY_TIMEOUT = 10.0
#: ``repo-get --ignore-missing`` ends with it, and without a message, when the file is not there.
EXIT_MISSING = 1


def repository_record(node: str) -> str:
    """Where a repository keeps the fence of a node that could not be written to, relative to the repository's path."""
    return f"relevo/fence/{node}.json"


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


def withdraw_record(stanza: str, node: str) -> bool:
    """Empty the record of a fence that the repository host may keep for ``node``; returns whether there was one."""
    record = repository_record(node)
    if not (RepositoryReader(stanza).get(record, raw=True) or "").strip():
        return False
    command = ["pgbackrest", f"--stanza={stanza}", "--log-level-console=off", "repo-put", "--raw", record]
    done = run_as_postgres(command, timeout=REPOSITORY_TIMEOUT)
    if done.returncode:
        raise RelevoError(f"The record {record} in the repository could not be emptied: {done.stderr.strip()}")
    return True
