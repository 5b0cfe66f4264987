# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of modules have in common that work on a node for long: it may go away in the middle of it.

Ansible then says that it found no start of a JSON text in what the module printed, or waits for ever.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.relevo.postgres.plugins.plugin_utils import _node_program, _paused_container

#: How a process ends that was killed, as all are when their container dies.
KILLED = 137


class NodeAction(NormalAction):
    """Runs the module of its name; where its node went away, or froze, it fails with what to do about it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        node = _node_program.host_of(self, task_vars or {})
        try:
            with self._watched():
                result: dict[str, Any] = super().run(tmp, task_vars)
        except _paused_container.ContainerPausedError:
            raise AnsibleActionFail(
                f"{node} has been paused for {_paused_container.PATIENCE:g} s in the middle of this, and its work "
                "stands still. Let it go on (docker unpause), or stop it; see status.yml, then run this again."
            ) from None
        if result.get("failed") and result.get("rc") == KILLED and result.get("module_stdout") == "":
            raise AnsibleActionFail(
                f"{node} went away in the middle of this, or the process there was killed; it is not known how far it "
                "got. See status.yml, then run this again: it finishes what is missing. "
                "Where the primary is dead, failover.yml promotes a standby.",
                result={"rc": KILLED, "module_stderr": result.get("module_stderr", "")},
            )
        return result

    def _watched(self) -> AbstractContextManager[None]:
        """Over SSH a machine that froze is noticed by the connection; the engine's goes on waiting."""
        if not self._connection.transport.startswith("community.docker."):
            return nullcontext()
        # Takes long to load, and the connection of a machine does without it.
        from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container

        name = self._connection.get_option("remote_addr")
        return _paused_container.watched(lambda: str(container.ContainerNode(container.engine(), name).state()))
