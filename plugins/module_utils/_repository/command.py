# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How pgBackRest is called, and how a file of the repository is read through it.

The start guard is installed on nodes with all that it imports, so this knows neither pgBackRest's errors nor its
configuration (see ``pgbackrest``).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from .. import _names, _process

CONFIG = _names.PGBACKREST_CONF
#: Beside it, where there are two: each repository alone, as the first one (see ``alone``).
FIRST, SECOND = _names.FIRST_REPOSITORY, _names.SECOND_REPOSITORY
#: ``repo-get --ignore-missing`` ends with it, and without a message, when the file is not there; and so does
#: ``archive-get`` for a segment.
EXIT_MISSING = 1


def command_line(
    stanza: str, command: str, *options: str, words: Sequence[str] = (), level: str = "warn", config: Path = CONFIG
) -> list[str]:
    """The whole command. The log goes to stderr, so that stdout holds nothing but the answer."""
    where = [] if config == CONFIG else [f"--config={config}"]
    logs = ["--log-level-console=off", f"--log-level-stderr={level}"]
    return ["pgbackrest", *where, f"--stanza={stanza}", *logs, *options, command, *words]


def own_config(repository: int, config: Path = CONFIG) -> Path:
    """Where the configuration is that knows this repository only, if there is one."""
    return config.with_name(f"repo{repository}.conf")


def config_of(repository: int, config: Path = CONFIG) -> Path:
    """The configuration that knows this repository only; that of all of them where there is but one."""
    own = own_config(repository, config)
    return own if repository != FIRST or own.exists() else config


def repositories(config: Path = CONFIG) -> list[int]:
    """The numbers of the repositories that this host is configured for."""
    return [FIRST, *([SECOND] if config_of(SECOND, config).exists() else [])]


#: Before it has read how loud it should be, it warns of its configuration on stdout.
_WARNING = re.compile(r"(?:P\d\d +WARN: .*\n(?: +.*\n)*)+")


def answer_in(stdout: str) -> str:
    """What a command has answered, without the warnings before it."""
    warnings = _WARNING.match(stdout)
    return stdout[warnings.end() :] if warnings else stdout


def restore_command(stanza: str, config: Path = CONFIG) -> str:
    """PostgreSQL's setting of that name."""
    # Asynchronous archive-get has a race at a switch of timelines (pgBackRest issue 2423, fixed in 2.59).
    where = "" if config == CONFIG else f" --config={config}"
    return f'pgbackrest{where} --stanza={stanza} --no-archive-async archive-get %f "%p"'


class RepositoryFiles(ABC):
    """Reads files of the repository, on every host that pgBackRest is configured on.

    pgBackRest's server lets a node read below its repository path with ``repo-get`` and ``repo-ls``, provided that
    ``--stanza`` names a stanza that ``tls-server-auth`` grants it (measured with 2.55.1; 0.09 s a call).
    """

    @abstractmethod
    def read(self, command: str, *options: str, path: str, timeout: float) -> _process.Finished:
        """Run a command that reads; raises ``RelevoError`` when it fails, but not when ``is_missing``."""

    @staticmethod
    def is_missing(finished: _process.Finished) -> bool:
        """Whether the repository has answered that there is no such file."""
        return finished.returncode == EXIT_MISSING and not finished.stderr.strip()

    def get(self, path: str, timeout: float = 10, raw: bool = False) -> str | None:
        """A file as text; None when the repository answers that it has none.

        ``raw``: an encrypted repository has no passphrase for files outside of archive/ and backup/, so those are
        read as they are.
        """
        options = ["--ignore-missing", *(["--raw"] if raw else [])]
        finished = self.read("repo-get", *options, path=path, timeout=timeout)
        return None if self.is_missing(finished) else answer_in(finished.stdout)

    def names(self, path: str, timeout: float = 10, below: str | None = None) -> list[str]:
        """The names in a directory; none when it does not exist.

        With ``below``, a regular expression, the paths in all of its tree that match it: one call (25 ms) for all.
        """
        options = [] if below is None else ["--recurse", f"--filter={below}"]
        found = self.read("repo-ls", *options, path=path, timeout=timeout)
        return answer_in(found.stdout).split()

    def times(self, path: str, below: str, timeout: float = 30) -> dict[str, float]:
        """By path below a directory, when each of its files was stored (seconds since 1970); ``below`` as for names."""
        options = ["--recurse", f"--filter={below}", "--output=json"]
        found = json.loads(answer_in(self.read("repo-ls", *options, path=path, timeout=timeout).stdout) or "{}")
        return {name: float(entry["time"]) for name, entry in found.items() if entry.get("type") == "file"}
