# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest says about a configuration that is not in place yet, for the commands that somebody may run.

``pgbackrest help COMMAND`` reads the configuration as that command does, judges what it would use of it, and does
nothing (seen with 2.55.1). An option that a command does not use is not judged by it, so several are asked. What is
missing only a command itself says, so one is called without what it has to do, and ends with that.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import _process
from .pgbackrest import parse_config

#: 20 ms each.
TIMEOUT = 30.0
#: Each uses options that the others do not.
OF_A_STANZA = ("archive-get", "backup", "check", "expire", "restore", "verify")
#: "WAL segment to push required": it has judged its options by then.
NOTHING_TO_DO = "[043]"
_SAYS = re.compile(r"^(?:\S+ \S+ )?P\d\d +(WARN|ERROR): (.*)$")


def faults(said: str) -> list[str]:
    """Its complaints, each with its hints in brackets. It goes on without an option that it does not know."""
    found: list[str] = []
    hints = False  # whether the lines that follow belong to one that was found
    for line in said.splitlines():
        match = _SAYS.match(line)
        if match and not match[2].startswith(NOTHING_TO_DO):
            found.append(match[2])
            hints = True
        elif hints and not match and line.startswith(" "):
            found[-1] += f" ({line.strip().removeprefix('HINT').lstrip(': ')})"
        else:
            hints = False
    return found


def stanzas_of(text: str) -> list[str]:
    return [section for section in parse_config(text).sections() if section.partition(":")[0] != "global"]


def refusal(found: Sequence[str]) -> str:
    """The sentence for a configuration that pgBackRest does not take."""
    return (
        f"pgBackRest refuses this configuration, and none of the files was replaced: {'; '.join(found)}. Correct "
        "pgbackrest_options, or the variable of the role pgbackrest that is meant, then run this again."
    )


def try_configuration(text: str) -> list[str]:
    """What is wrong with a configuration file, in pgBackRest's own words."""
    scratch = Path(tempfile.mkdtemp(prefix="relevo-trial-"))
    try:
        config = scratch / "pgbackrest.conf"
        config.touch(mode=0o600)
        config.write_text(text)
        if os.geteuid() == 0:
            account = pwd.getpwnam(_process.POSTGRES)
            for path in (scratch, config):
                os.chown(path, account.pw_uid, account.pw_gid)

        def ask(words: list[str]) -> list[str]:
            done = _process.run(["pgbackrest", f"--config={config}", *words], TIMEOUT)
            return faults(done.stdout + done.stderr)

        questions = [["help", "server"]]
        for stanza in stanzas_of(text):
            of = f"--stanza={stanza}"
            questions += [[of, "help", command] for command in OF_A_STANZA]
            questions += [[of, "--log-level-console=off", "--log-level-file=off", "archive-push"]]
        with ThreadPoolExecutor(max_workers=4) as pool:
            answers = list(pool.map(ask, questions))
        # Several say the same.
        return list(dict.fromkeys(one for answer in answers for one in answer))
    finally:
        shutil.rmtree(scratch)
