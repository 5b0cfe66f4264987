# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of modules have in common that work on a node for long: it may go away in the middle of it.

Ansible then says that it found no start of a JSON text in what the module printed.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action.normal import ActionModule as NormalAction

#: How a process ends that was killed, as all are when their container dies.
KILLED = 137


class NodeAction(NormalAction):
    """Runs the module of its name; a module that was killed before it answered fails with what to do about it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if result.get("failed") and result.get("rc") == KILLED and result.get("module_stdout") == "":
            node = self._task.delegate_to or (task_vars or {})["inventory_hostname"]
            raise AnsibleActionFail(
                f"{node} went away in the middle of this, or the work there was killed; how far it came is not known. "
                "See status.yml, then run this again: it finishes what is missing. "
                "Where the primary is dead, failover.yml promotes a standby.",
                result={"rc": KILLED, "module_stderr": result.get("module_stderr", "")},
            )
        return result
