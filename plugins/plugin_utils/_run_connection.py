# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SSH connection to each machine for the questions of one run of Ansible, which the first question opens.

Ansible's own shared connection may still stand when the machine behind it has gone without a word, and a command over
it hang for minutes. To open one for each question instead takes 0.2 s and more each time, and in an emergency several
of them would come one after the other while nobody takes writes. This one is as fresh as the run itself.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path
from typing import Any

from ansible import constants

#: A machine that says nothing for 6 s has gone: ssh gives up when more than five questions of it have no answer.
ALIVE = "-o ServerAliveInterval=1 -o ServerAliveCountMax=5"
#: It ends by itself some time after its last use, as Ansible's own does.
PERSIST = "-o ControlMaster=auto -o ControlPersist=60s"
ALONE = "-o ControlPath=none"


def use(connection: Any, name: str, *, alone: bool = False) -> None:
    """Have a connection of SSH to the host ``name`` share the one of this run; ``alone``: have one of its own.

    What the user's own ``ssh_args`` say comes before what this adds.
    """
    if connection.transport != "ssh":
        return
    given = connection.get_option("ssh_extra_args") or ""
    ours = f"{ALONE if alone else _shared(connection, name)} {ALIVE}"
    if ours not in given:
        connection.set_option("ssh_extra_args", f"{given} {ours}".strip())


def _shared(connection: Any, name: str) -> str:
    """The options that share it, in the folder in which Ansible has its own sockets."""
    folder = Path(os.path.expandvars(connection.get_option("control_path_dir"))).expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # All processes of a run have the same temporary folder, and no other run has it. By its name in the inventory: two
    # machines may have one address, each behind a jump host of its own.
    told_apart = repr((constants.DEFAULT_LOCAL_TMP, name))
    # Short, since the path of a socket has 107 characters at most, of which ssh wants 17.
    digest = hashlib.sha256(told_apart.encode()).hexdigest()[:10]
    path = f"{folder}/{digest}".replace("%", "%%")
    quoted = shlex.quote(f'ControlPath="{path}"')
    return f"{PERSIST} -o {quoted}"
