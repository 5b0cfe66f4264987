# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dead primary had archived and the candidate never received: it is fetched before the promotion.

Not by ``restore_command``: a repository that hangs would then hold up the promotion for as long as it hangs.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path

from .. import _names
from .._errors import RelevoError
from .._repository.away import first_of
from .._repository.command import EXIT_MISSING, repositories
from .._repository.pgbackrest import PgBackRest
from .._server import marker
from .._server.lsn import SEGMENT_SIZE, segment_name, segment_start

DIRECTORY = _names.MARKER_DIR / "salvage" / "archive"


def fetch_segments(
    stanza: str,
    first: str,
    directory: Path = DIRECTORY,
    timeout: float = 60.0,
    warn: Callable[[str], object] = lambda _sentence: None,
) -> list[str]:
    """Copy ``first`` and the segments after it out of the archive into ``directory``, as far as it has them.

    Of two repositories the second one is asked where the first one fails, which ``warn`` names. WAL goes to both, so
    what is missed is at most what was on its way when the primary died; and one that hangs costs time only where it
    must.
    """
    if directory.exists():
        shutil.rmtree(directory)
    account = pwd.getpwnam("postgres")
    for folder in (directory.parent, directory):
        marker.ensure_directory(folder)
        os.chown(folder, account.pw_uid, account.pw_gid)
    found: list[str] = []
    _answer, away = first_of(
        repositories(), lambda number: _fetch(PgBackRest(stanza, repository=number), first, directory, timeout, found)
    )
    for one in away:
        warn(one.sentence)
    return found


def _fetch(pgbackrest: PgBackRest, first: str, directory: Path, timeout: float, found: list[str]) -> None:
    """Add to ``found`` what this repository has after its last one."""
    name = following(found[-1]) if found else first
    while True:
        words = [name, str(directory / name)]
        called = pgbackrest.try_run("archive-get", "--no-archive-async", words=words, timeout=timeout, level="error")
        if called.returncode == EXIT_MISSING:
            return
        if called.returncode:
            raise RelevoError(
                f"{name} could not be fetched from the archive, which may be the only one that has it: "
                f"{called.stderr.strip() or f'exit {called.returncode}'}. Nobody was promoted. Fix the repository and "
                "run this again, or lose what it has with -e force=true."
            )
        found.append(name)
        name = following(name)


def following(name: str) -> str:
    return segment_name(int(name[:8], 16), segment_start(name) + SEGMENT_SIZE)
