# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a fence on the repository host: for a node that could not be written to when it was fenced.

The start guard reads it before every start, so nothing here needs a library that takes a while to load.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .. import _process
from .._errors import RelevoError
from .command import RepositoryFiles, command_line

REPOSITORY_TIMEOUT = 10.0


def repository_record(node: str) -> str:
    """Where a repository keeps the fence of a node that could not be written to, relative to the repository's path."""
    return f"relevo/fence/{node}.json"


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


def withdraw_record(stanza: str, node: str) -> bool:
    """Empty the record of a fence that the repository host may keep for ``node``; returns whether there was one."""
    record = repository_record(node)
    if not (RepositoryReader(stanza).get(record, raw=True) or "").strip():
        return False
    done = _process.run(command_line(stanza, "repo-put", "--raw", words=[record]), timeout=REPOSITORY_TIMEOUT)
    if done.returncode:
        raise RelevoError(f"The record {record} in the repository could not be emptied: {done.stderr.strip()}")
    return True
