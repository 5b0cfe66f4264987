# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SSH connection to each machine for the questions of one run of Ansible, which the first question opens.

Ansible's own shared connection may still stand when the machine behind it has gone without a word, and a command over
it hang for minutes. To open one for each question instead takes 0.2 s and more each time, and in an emergency five of
them would come one after the other while nobody takes writes. This one is as fresh as the run itself.
"""

from __future__ import annotations

import shlex
from typing import Any

from ansible import constants

#: A machine that says nothing for 9 s has gone. What the user's own ssh_args say comes before all of these.
ALIVE = "-o ServerAliveInterval=3 -o ServerAliveCountMax=3"
#: It ends by itself some time after its last use, as Ansible's own does.
PERSIST = "-o ControlMaster=auto -o ControlPersist=60s"


def ssh_arguments() -> str:
    """What makes ssh share the connection of this run. The folder is Ansible's own, which each of its processes has."""
    # %C is a hash of 40 digits, and the path of a socket has 107 at most: without it where the folder's name is long.
    folder = str(constants.DEFAULT_LOCAL_TMP).replace("%", "%%")
    path = f"{folder}/%C"
    room = len(path) - len("%C") + 40 + len(".0123456789abcdef") <= 107
    if not room:
        return f"-o ControlPath=none {ALIVE}"
    own = shlex.quote(f'ControlPath="{path}"')
    return f"{PERSIST} -o {own} {ALIVE}"


def with_own_arguments(given: str | None) -> str:
    """The option ``ssh_extra_args`` of a connection, with ours behind what it has."""
    return f"{given or ''} {ssh_arguments()}".strip()


def use(connection: Any) -> None:
    """Have the connection of a task take part in it, where that is one of SSH."""
    if connection.transport == "ssh":
        connection.set_option("ssh_extra_args", with_own_arguments(connection.get_option("ssh_extra_args")))
