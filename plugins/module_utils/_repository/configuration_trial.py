# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest says about a configuration that is not in place yet, for the commands that somebody may run.

``pgbackrest help COMMAND`` reads the configuration as that command does, judges what it would use of it, and does
nothing (seen with 2.55.1). An option that a command does not use is not judged by it, so several are asked. What is
missing only a command itself says, so one is called without what it has to do, and ends with that. A directory or a
file that it may not use it notices when it needs it, which is too late for archiving: these are tried as postgres.
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

from .. import _names, _process
from .pgbackrest import parse_config

#: 20 ms each.
TIMEOUT = 30.0
#: Each uses options that the others do not.
OF_A_STANZA = ("archive-get", "backup", "check", "expire", "restore", "verify")
#: "WAL segment to push required": it has judged its options by then.
NOTHING_TO_DO = "[043]"
#: What it reads when it enters a bucket.
READ = re.compile(r"(repo\d+)-storage-ca-(?:file|path)")
#: It makes a directory that is missing, where it may.
MAY_WRITE = """
path=$1
until [ -e "$path" ]; do path=$(dirname "$path"); done
[ -d "$path" ] && [ -w "$path" ] && [ -x "$path" ]
"""
MAY_READ = '[ -r "$1" ]'
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


def used_paths(text: str) -> dict[tuple[str, str], str]:
    """What postgres must be able to do, as a shell's test, by the option and its path.

    Only what the host of this configuration needs: where it locks; where the server's own archiver has its queue; and,
    where no other host enters the bucket for it, whom the bucket is to be signed by. Without a log it goes on.
    """
    parser, found = parse_config(text), dict[tuple[str, str], str]()
    every = [(option, value) for section in parser.sections() for option, value in parser.items(section)]
    given = dict(every)
    has_server = any("pg1-path" in parser[name] and "pg1-host" not in parser[name] for name in stanzas_of(text))
    queues = has_server and given.get("archive-async") == "y"
    for option, path in every:
        bucket = READ.fullmatch(option)
        if option == "lock-path" or (option == "spool-path" and queues):
            found[option, path] = MAY_WRITE
        # What lies beside the configuration is put there with it.
        elif bucket and f"{bucket[1]}-host" not in given and Path(path).parent != _names.PGBACKREST_CONF.parent:
            found[option, path] = MAY_READ
    return found


def unusable(text: str) -> list[str]:
    """The paths that are named and that pgBackRest could not use."""
    found = []
    for (option, path), test in used_paths(text).items():
        if _process.run(["sh", "-c", test, "sh", path], TIMEOUT).returncode:
            what = "read" if test == MAY_READ else "write to"
            found.append(f"{option}: the user postgres, as whom it runs, may not {what} {path}")
    return found


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
        return [*dict.fromkeys(one for answer in answers for one in answer), *unusable(text)]
    finally:
        shutil.rmtree(scratch)
