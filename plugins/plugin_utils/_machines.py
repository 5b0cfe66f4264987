# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether machines answer over the connections that the inventory names, asked of all at once.

Ansible's own way, a task for each with ``ignore_unreachable``, asks them one after the other and prints a page for
each that is down, before the play has said what it is about to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

#: Asks the machine itself. A shared connection of Ansible's may still stand, and a command over it hang for minutes,
#: when the machine behind it has gone without a word. What the user's own ssh_args say comes before these.
FRESH_CONNECTION = "-o ControlPath=none -o ServerAliveInterval=2 -o ServerAliveCountMax=2"
DEADLINE = 15.0

Ask = Callable[[], str | None]


def asker(name: str, variables: Mapping[str, Any], context: PlayContext) -> Ask:
    """What asks the machine ``name`` over the connection of its variables: None when it answers, otherwise why not."""

    def ask() -> str | None:
        try:
            code, _output, said = execute(name, variables, context, "exit 0")
        except AnsibleConnectionFailure as error:
            return one_line(error.message)
        except AnsibleError as error:
            return one_line(str(error))
        return None if code == 0 else one_line(said) or f"a command ended with {code}"

    return ask


def execute(
    name: str, variables: Mapping[str, Any], context: PlayContext, command: str, stdin: str | None = None
) -> tuple[int, str, str]:
    """Run a command on a machine; its status, output and errors. Raises ``AnsibleError`` where it cannot be entered."""
    connection = connect(name, variables, context)
    try:
        given = {} if stdin is None else {"in_data": stdin.encode()}
        code, output, said = connection.exec_command(command, sudoable=False, **given)
    finally:
        connection.close()
    return code, output.decode(errors="replace"), said.decode(errors="replace")


def connect(name: str, variables: Mapping[str, Any], context: PlayContext) -> Any:
    """A connection plugin with the options that the host's variables give it, as for a task on that host."""
    kind = variables.get("ansible_connection") or constants.DEFAULT_TRANSPORT
    own = context.copy()
    own.remote_addr = variables.get("ansible_host") or name
    # The second is the standard input of a worker, which some plugins still demand and none reads.
    connection = connection_loader.get(kind, own, None)
    if connection is None:
        raise AnsibleError(f"there is no connection plugin {kind}")
    wanted = constants.config.get_plugin_vars("connection", connection._load_name)
    options = {key: variables[key] for key in wanted if key in variables}
    options.setdefault("inventory_hostname", name)
    if "ansible_ssh_extra_args" in wanted:
        options["ansible_ssh_extra_args"] = f"{options.get('ansible_ssh_extra_args') or ''} {FRESH_CONNECTION}".strip()
    connection.set_options(task_keys={"timeout": own.timeout, "password": own.password}, var_options=options)
    return connection


def one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def ask_all(asks: Mapping[str, Ask], deadline: float = DEADLINE) -> dict[str, str | None]:
    """The answers by name; one that takes longer than ``deadline`` seconds is left behind and counts as none."""
    answers: dict[str, str | None] = dict.fromkeys(asks, f"no answer within {deadline:g} s")

    def note(name: str, ask: Ask) -> None:
        answers[name] = ask()

    threads = [threading.Thread(target=note, args=item, daemon=True) for item in asks.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + deadline
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    # A copy: a late answer must not change what was concluded.
    return dict(answers)
