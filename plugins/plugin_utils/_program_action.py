# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions have in common that run the module of their name as a program (see ``_node_program``)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from ansible_collections.relevo.postgres.plugins.plugin_utils import _node_program, _run_connection
from ansible_collections.relevo.postgres.plugins.plugin_utils._node_action import KILLED, NodeAction


class ProgramAction(NodeAction):
    """Runs a program where the inventory names the node's interpreter, and the module elsewhere.

    ``ENTRY``: the part of ``module_utils`` whose ``answer`` gets the module's ``arguments`` and ``check_mode``, and
    returns its result. ``SHARES_CONNECTION``: it takes that of the run's questions (see ``_run_connection``), and a
    machine that says nothing for 6 s has gone; not for what takes long. ``REPEATED``: it may be run once more when its
    answer is lost, which a busy engine does with one short command in 30. ``WHAT`` ended, and ``LOST`` is what that
    means: said where it is lost all the same.
    """

    ENTRY: ClassVar[str]
    SHARES_CONNECTION: ClassVar[bool] = False
    REPEATED: ClassVar[bool] = False
    WHAT: ClassVar[str]
    LOST: ClassVar[str] = "It may have been done: run this again, which finishes what is missing."

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The arguments of ``validate_argument_spec``."""

    def on_node(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Those of the task's arguments that are the node's business."""
        return arguments

    def _execute_module(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        _validation, given = self.validate_argument_spec(**self.spec())
        question = {"arguments": self.on_node(given), "check_mode": self._task.check_mode}
        if self.SHARES_CONNECTION:
            _run_connection.use(self._connection, _node_program.host_of(self, options["task_vars"]))
        done = _node_program.run(self, self.ENTRY, question, options["task_vars"])
        if done and self.REPEATED and done["rc"] != KILLED and _node_program.answer_in(done["stdout"]) is None:
            done = _node_program.run(self, self.ENTRY, question, options["task_vars"])
        if done is None:
            options["module_args"] = self.on_node(dict(self._task.args))
            return super()._execute_module(*arguments, **options)
        answer = _node_program.answer_in(done["stdout"])
        return self._lost(done) if answer is None else answer

    def _lost(self, done: dict[str, Any]) -> dict[str, Any]:
        """As Ansible returns a module that died."""
        said = (done["stderr"].strip() or "it printed nothing").splitlines()[-1].rstrip(".")
        return {
            "failed": True,
            "msg": f"{self.WHAT} ended with {done['rc']} and without an answer: {said}. {self.LOST}",
            "rc": done["rc"],
            "module_stdout": done["stdout"],
            "module_stderr": done["stderr"],
        }
