# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module pg_promote on its node, which may go away in the middle of it."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._handover.promote_arguments import spec
from ansible_collections.relevo.postgres.plugins.plugin_utils import _node_program, _run_connection
from ansible_collections.relevo.postgres.plugins.plugin_utils._node_action import NodeAction


class ActionModule(NodeAction):
    """See plugins/modules/pg_promote.py. Writers wait, so it runs as a program where that is possible."""

    def _execute_module(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        _validation, given = self.validate_argument_spec(argument_spec=spec())
        question = {"arguments": given, "check_mode": self._task.check_mode}
        # In an emergency it has been open since this machine was asked whether it answers.
        _run_connection.use(self._connection, self._node(options["task_vars"]))
        done = _node_program.run(self, "_handover.promote", question, options["task_vars"])
        if done is None:
            return super()._execute_module(*arguments, **options)
        answer = _node_program.answer_in(done["stdout"])
        if answer is not None:
            return answer
        # As Ansible returns a module that died. It is not begun again here: it may have come far.
        said = (done["stderr"].strip() or "it printed nothing").splitlines()[-1].rstrip(".")
        return {
            "failed": True,
            "msg": f"The promotion ended with {done['rc']} and without an answer: {said}. It may have been done: run "
            "this again, which finishes what is missing.",
            "rc": done["rc"],
            "module_stdout": done["stdout"],
            "module_stderr": done["stderr"],
        }
