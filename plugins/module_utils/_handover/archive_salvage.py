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
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from .. import _names
from .._errors import RelevoError
from .._repository.away import Away
from .._repository.command import EXIT_MISSING, repositories
from .._repository.pgbackrest import PgBackRest
from .._server import marker
from .._server.lsn import SEGMENT_SIZE, segment_name, segment_start

DIRECTORY = _names.MARKER_DIR / "salvage" / "archive"


def not_looked_for(away: Away) -> str:
    """What a promotion goes on without where one of two repositories is away: no loss is silent."""
    return f"{away.sentence.rstrip('.')}. What it alone may have of the dead primary was not looked for."


def fetch_segments(
    stanza: str,
    first: str,
    directory: Path = DIRECTORY,
    timeout: float = 60.0,
    warn: Callable[[str], object] = lambda _sentence: None,
    away: Collection[int] = (),
) -> list[str]:
    """Copy ``first`` and the segments after it out of the archive into ``directory``, as far as it has them.

    Of two repositories the other one is asked for each segment that the one does not have, or cannot give: WAL goes to
    both, but not at the same moment, and one that was away for a while has less. ``warn`` names the one that fails.
    ``away``: those that have just not answered, which are not asked again while nobody takes writes.
    """
    if directory.exists():
        shutil.rmtree(directory)
    account = pwd.getpwnam("postgres")
    for folder in (directory.parent, directory):
        marker.ensure_directory(folder)
        os.chown(folder, account.pw_uid, account.pw_gid)
    numbers = repositories()
    asked = [number for number in numbers if number not in away] or numbers
    found: list[str] = []
    name = first
    while True:
        got, failed = _fetch(stanza, asked, name, directory, timeout)
        for number, error in failed.items():
            if len(failed) == len(asked):
                raise error
            # Once: it would fail, or hang, for each segment.
            asked = [other for other in asked if other != number]
            warn(not_looked_for(Away(number, str(error.details.get("said", error.message)))))
        if not got:
            return found
        found.append(name)
        name = following(name)


def _fetch(
    stanza: str, numbers: Sequence[int], name: str, directory: Path, timeout: float
) -> tuple[bool, dict[int, RelevoError]]:
    """Whether one of these repositories gave the segment, and which of those before it failed."""
    failed: dict[int, RelevoError] = {}
    for number in numbers:
        # One that hangs may not hold up a promotion for long where another one can be asked.
        patience = timeout if number == numbers[-1] else timeout / len(numbers) / 2
        try:
            if _fetched(PgBackRest(stanza, repository=number), name, directory, patience):
                return True, failed
        except RelevoError as error:
            failed[number] = error
    return False, failed


def _fetched(pgbackrest: PgBackRest, name: str, directory: Path, timeout: float) -> bool:
    """Whether a repository had the segment, which is in ``directory`` then."""
    words = [name, str(directory / name)]
    called = pgbackrest.try_run("archive-get", "--no-archive-async", words=words, timeout=timeout, level="error")
    if called.returncode in (0, EXIT_MISSING):
        return called.returncode == 0
    said = called.stderr.strip() or f"exit {called.returncode}"
    raise RelevoError(
        f"{name} could not be fetched from the archive, which may be the only one that has it: {said}. Nobody was "
        "promoted. Fix the repository and run this again, or lose what it has with -e force=true.",
        said=f"{name} could not be fetched: {said}",
    )


def following(name: str) -> str:
    return segment_name(int(name[:8], 16), segment_start(name) + SEGMENT_SIZE)
