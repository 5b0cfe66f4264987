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
from pathlib import Path

from .. import _names
from .._errors import RelevoError
from .._repository.command import EXIT_MISSING
from .._repository.pgbackrest import PgBackRest
from .._server import marker
from .._server.lsn import SEGMENT_SIZE, segment_name, segment_start

DIRECTORY = _names.MARKER_DIR / "salvage" / "archive"


def fetch_segments(stanza: str, first: str, directory: Path = DIRECTORY, timeout: float = 60.0) -> list[str]:
    """Copy ``first`` and the segments after it out of the archive into ``directory``, as far as it has them."""
    if directory.exists():
        shutil.rmtree(directory)
    account = pwd.getpwnam("postgres")
    for folder in (directory.parent, directory):
        marker.ensure_directory(folder)
        os.chown(folder, account.pw_uid, account.pw_gid)
    pgbackrest = PgBackRest(stanza)
    found: list[str] = []
    name = first
    while True:
        words = [name, str(directory / name)]
        called = pgbackrest.try_run("archive-get", "--no-archive-async", words=words, timeout=timeout, level="error")
        if called.returncode == EXIT_MISSING:
            return found
        if called.returncode:
            raise RelevoError(
                f"{name} could not be fetched from the archive, which may be the only one that has it: "
                f"{called.stderr.strip() or f'exit {called.returncode}'}. Nobody was promoted. Fix the repository and "
                "run this again, or lose what it has with -e force=true."
            )
        found.append(name)
        name = segment_name(int(name[:8], 16), segment_start(name) + SEGMENT_SIZE)
