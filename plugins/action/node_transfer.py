# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry files from one node to another through the controller's memory, a piece at a time.

The nodes need no way to one another, and the repository host no login at the primary: over the two connections that
Ansible has anyway, a container's engine or SSH with sudo, a command is all that both kinds can do alike. ``fetch``
would read the whole file into memory where the tasks become another user, and leave a copy on the controller.
"""

from __future__ import annotations

import base64
import shlex
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

#: A command over SSH takes 0.3 s before its first byte: much more than to carry some of these MB.
PIECE_MB = 16
#: How often a question is asked whose answer was lost, and what comes before and after one.
ATTEMPTS, BEGIN, END = 10, "relevo-begin", "relevo-end"
#: Whom the files belong to on both ends, and nobody else reads them.
PREPARE = "install -d -m 0700 -o postgres -g postgres {folder} && find {folder} -mindepth 1 -delete"


class ActionModule(ControllerAction):
    """On the controller; see plugins/modules/node_transfer.py."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "source": {"type": "str", "required": True},
            "destination": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "str", "required": True},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        hostvars = self._task_vars["hostvars"]
        source, destination = (
            Node(name, hostvars[name], self._play_context) for name in (options["source"], options["destination"])
        )
        try:
            destination.run(PREPARE.format(folder=shlex.quote(options["directory"])))
            carried = [self._carry(source, path, destination, options["directory"]) for path in options["files"]]
        finally:
            source.close()
            destination.close()
        return {
            "changed": bool(carried),
            "files": [path for path, _size in carried],
            "size": sum(s for _p, s in carried),
        }

    @staticmethod
    def _carry(source: Node, path: str, destination: Node, directory: str) -> tuple[str, int]:
        arrived = f"{directory}/{path.rpartition('/')[2]}"
        here, there = shlex.quote(path), shlex.quote(arrived)
        size = int(source.ask(f"stat -c %s {here}"))
        destination.run(f"umask 077 && : > {there} && chown postgres:postgres {there}")
        for piece in range(-(-size // (PIECE_MB * 2**20))):
            text = source.ask(f"dd if={here} bs=1M skip={piece * PIECE_MB} count={PIECE_MB} status=none | base64 -w 0")
            destination.run(f"cat >> {there}", base64.b64decode(text))
        sums = [node.ask(f"sha256sum < {at}").split()[0] for node, at in ((source, here), (destination, there))]
        if sums[0] != sums[1]:
            raise RelevoError(
                f"{path} of {source.name} has not arrived whole on {destination.name}. Look at its disk, then run "
                "this again."
            )
        return arrived, size


class Node:
    """A node over the connection that the inventory names, kept for all commands."""

    def __init__(self, name: str, variables: Any, context: Any) -> None:
        self.name = name
        self._variables, self._context = variables, context
        self._connection = _machines.connect(name, variables, context)

    def ask(self, command: str) -> str:
        """What a command prints; it changes nothing, so that it can be asked again.

        On a busy host the Docker engine loses the output of one short command in 30.
        """
        for _again in range(ATTEMPTS):
            said = self.run(f"echo {BEGIN} && {command} && echo {END}").strip()
            # Before it sudo may have said something, which comes the same way over SSH.
            _before, begun, printed = said.rpartition(BEGIN)
            if begun and printed.endswith(END):
                return printed.removesuffix(END).strip()
        raise RelevoError(f"A file could not be carried: {self.name} prints nothing. Run this again.")

    def run(self, command: str, stdin: bytes = b"") -> str:
        """What a command printed that tasks' own user runs; ``RelevoError`` where it does not end with 0."""
        line = _machines.as_become_user(
            self._connection, self._variables, self._context, f"/bin/sh -c {shlex.quote(command)}"
        )
        try:
            code, output, said = self._connection.exec_command(line, in_data=stdin, sudoable=True)
        except AnsibleError as error:
            raise RelevoError(
                f"{self.name} went away while a file was carried: {_machines.one_line(str(error))}. Run this again."
            ) from error
        if code:
            words = _machines.one_line(said.decode(errors="replace"))[-300:] or f"a command ended with {code}"
            raise RelevoError(f"A file could not be carried: {self.name} says: {words}. Run this again.")
        return str(output.decode("ascii", errors="replace"))

    def close(self) -> None:
        self._connection.close()
