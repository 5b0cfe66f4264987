# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of two repositories seen alone: a configuration that knows no other, in which it is the first.

With both in sight pgBackRest mixes them: ``info`` lists all backups, ``check`` wants the segment in each, a backup to
the one fails with [104] because it cannot expire anything in the other that is away (seen with 2.55.1). ``--repo`` does
not help: ``check``, ``stanza-create`` and the expiry after a backup do not take it. Only ``archive-push`` is meant to
see both, and so is whoever types a command.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .command import CONFIG, FIRST, SECOND, own_config

_OPTION = re.compile(r"^repo(\d+)-")


def alone(text: str, repository: int, config: Path = CONFIG) -> str:
    """The configuration with this repository as its first one, and without any other.

    A host that reaches it through the repository host says which file is meant there: the number is no longer its own.
    """
    lines = []
    for line in text.splitlines():
        match = _OPTION.match(line)
        if match is None:
            lines.append(line)
        elif int(match[1]) == repository:
            lines.append(f"repo{FIRST}-{line[match.end() :]}")
            if line.startswith(f"repo{repository}-host="):
                lines.append(f"repo{FIRST}-host-config={own_config(repository, config)}")
    return "\n".join(lines) + "\n"


def files(text: str, mode: str, several: bool, config: Path = CONFIG) -> list[dict[str, Any]]:
    """The files that a host needs beside its configuration, as ``managed_files`` takes them.

    Where there is one repository they are absent, and everybody takes the configuration itself: also where its owner
    has described others in pgBackRest's own words, and has not asked for two (``several``).
    """
    return [
        {
            "path": str(own_config(number, config)),
            "content": alone(text, number, config) if several else "",
            "mode": mode,
            "absent": not several,
        }
        for number in (FIRST, SECOND)
    ]
