# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our actions have in common: they do in Ansible's own process what needs no node.

The start of a module takes 0.2 to 0.3 s, and in an emergency several of them would stand before the first write.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _node_program, _run_connection


class ControllerAction(ActionBase):
    """An action of one method, ``work``; what it raises as ``RelevoError`` is the task's failure."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    #: The arguments of ``validate_argument_spec``: ``argument_spec``, ``required_if``, ...
    SPEC: ClassVar[dict[str, Any]]

    @property
    def _task_host(self) -> str:
        """Whom the task is delegated to, or else whose it is."""
        return _node_program.host_of(self, self._task_vars)

    @abstractmethod
    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do it, and return the task's result."""

    def module(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a module on the node that the task is delegated to, and return its result; its failure is the task's."""
        result: dict[str, Any] = self._execute_module(
            module_name=name, module_args=arguments, task_vars=self._task_vars
        )
        if result.get("failed"):
            raise AnsibleActionFail(result.pop("msg"), result=result)
        return result

    def ask(self, entry: str, question: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of a program on the node (see ``_node_program``) that changes nothing; None where there is none.

        An answer that is lost is asked for once more: a busy engine loses what one short command in 30 prints.
        """
        try:
            answer = self._ask_once(entry, question)
        except AnsibleConnectionFailure:
            answer = None
        answer = answer or self._ask_once(entry, question)
        if answer and answer.get("failed"):
            raise AnsibleActionFail(answer.pop("msg"), result=answer)
        return answer

    def _ask_once(self, entry: str, question: dict[str, Any]) -> dict[str, Any] | None:
        _run_connection.use(self._connection, self._task_host)
        return _node_program.ask(self, entry, question, self._task_vars)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp
        self._task_vars = task_vars or {}
        _validation, options = self.validate_argument_spec(**self.SPEC)
        result: dict[str, Any] = super().run(task_vars=task_vars)
        try:
            result.update(self.work(options))
        except RelevoError as error:
            raise AnsibleActionFail(error.message, result=error.details) from error
        return result
