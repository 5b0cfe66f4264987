# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the operation lock of a cluster until the play ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display

from ansible_collections.relevo.postgres.plugins.lookup.requested_by import person_and_job
from ansible_collections.relevo.postgres.plugins.module_utils._cluster import operation_lock
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock_holder import BEAT, END
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _lock_keeper, _node_program
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

display = Display()

#: The pipe's name comes by standard input, since the list of processes shows everybody the arguments of a command.
#: A pipe that nobody reads would block for ever.
SEND = 'read -r PIPE && export PIPE && test -p "$PIPE" && timeout 5 sh -c \'printf {word} > "$PIPE"\''


#: The module operation_lock_holder as a program.
ENTRY = "_restore.operation_lock"

#: What a refusal tells programs. An unfinished restore is no holder that one could wait for, or pass by.
DETAILS = ("refused", "holders", "unfinished_restore")


def who(answer: dict[str, Any]) -> str:
    return ". ".join(holder["sentence"] for holder in answer["holders"])


class ActionModule(ControllerAction):
    """The decision is in module_utils/_cluster, the process that holds the lock in plugin_utils/_lock_keeper."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "state": {"type": "str", "choices": ["taken", "kept"], "default": "taken"},
            "operation": {"type": "str", "choices": list(operation_lock.NEEDS), "required": True},
            "clusters": {"type": "list", "elements": "str", "required": True},
            "wait": {"type": "int", "default": 0},
            "required": {"type": "bool", "default": True},
            "unreachable": {"type": "str", "choices": ["fail", "proceed"], "default": "fail"},
            "leave_out": {"type": "bool", "default": False},
            "apart": {"type": "bool", "default": False},
            "begun": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"changed": False, "left_out": {}, **self._hold(options)}

    def _hold(self, options: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {"held": False}
        # Ansible's directory for this run, and for no other.
        host = self._task_host
        note = Path(constants.DEFAULT_LOCAL_TMP) / f"relevo-operation-lock-{host}"
        lost = _lock_keeper.kept(note)
        if options["state"] == "kept" and not lost:
            return {"held": lost is not None}
        if options["leave_out"] and not lost:
            return self._partly(options, note)
        return self._result(options, self._patiently(options, options["clusters"], note), lost or "")

    def _patiently(self, options: dict[str, Any], clusters: Sequence[str], note: Path) -> dict[str, Any]:
        record = self._record(options, clusters)
        answer = self._take(record, note, prove=options["required"])
        if answer.get("refused") and options["wait"] > 0:
            display.display(f"Waiting up to {options['wait']} s: {who(answer)}.")
            answer = self._take(record, note, wait=options["wait"])
        return answer

    def _partly(self, options: dict[str, Any], note: Path) -> dict[str, Any]:
        """The lock of those that nobody works on, and of each other one why it is left out."""
        wanted: list[str] = options["clusters"]
        left_out: dict[str, str] = {}
        while free := [cluster for cluster in wanted if cluster not in left_out]:
            answer = self._patiently(options, free, note)
            if "msg" not in answer:
                return {"held": True, "left_out": left_out}
            # What is not about some of them alone, such as a host that does not answer, is about all.
            left_out |= operation_lock.blocked(free, answer) or dict.fromkeys(free, str(answer["msg"]))
        return {"held": False, "left_out": left_out}

    def _result(self, options: dict[str, Any], answer: dict[str, Any], lost: str) -> dict[str, Any]:
        if "msg" not in answer:
            return {"held": True}
        details: dict[str, Any] = {name: answer[name] for name in DETAILS if name in answer}
        if answer.get("refused") and not options["required"]:
            # The warning of a task is shown with its result, and our ansible.cfg hides the results of what went well.
            display.display(f"\nWarning: this does not wait for others: {who(answer)}.")
            return {"held": False, **details}
        if answer.get("unreachable") and options["unreachable"] == "proceed":
            return {"held": False}
        if lost:
            raise RelevoError(
                f"This play lost the operation lock on its way: {lost}. What it did stands, but another operation may "
                "have worked on the cluster at the same time. See status.yml, then run this again.",
                **details,
            )
        sentence = str(answer["msg"])
        raise RelevoError(operation_lock.after_changes(sentence) if options["begun"] else sentence, **details)

    def _record(self, options: dict[str, Any], clusters: Sequence[str]) -> operation_lock.Record:
        controller = platform.node()
        requested_by, job = person_and_job(self._task_vars or {}, os.environ, controller)
        return operation_lock.Record(
            # A holder has one record of each play.
            play="/".join([_lock_keeper.play_name(), *(clusters if options["apart"] else [])]),
            operation=options["operation"],
            clusters=tuple(clusters),
            requested_by=requested_by,
            job=job,
            controller=controller,
            process=_lock_keeper.play_process(),
        )

    def _take(self, record: operation_lock.Record, note: Path, wait: int = 0, prove: bool = True) -> dict[str, Any]:
        """The answer of the module, ``msg`` being there when the lock was not taken."""
        play = _lock_keeper.PlayProcess(record.process)
        link = _Link(self, record, {"wait": wait, "prove": prove})

        def work(report: Callable[[dict[str, Any]], None]) -> None:
            # Nobody reads this process's messages, and the play's queue must not be left half written.
            display.set_queue(None)
            display.verbosity = 0
            try:
                answer = link.take()
            except RelevoError as error:
                unreachable = isinstance(error, _lock_keeper.UnreachableError)
                report({"msg": error.message, "unreachable": unreachable, **error.details})
                return
            own = _lock_keeper.Note(note)
            report(answer)
            _lock_keeper.keep(play, link, own, str(answer["pipe"]))

        return _lock_keeper.start(work, set() if play.handle is None else {play.handle})


class _Link:
    """The way to the repository host: the connection, and the privileges, that the task has."""

    def __init__(self, action: ActionModule, record: operation_lock.Record, patience: dict[str, Any]) -> None:
        self.action = action
        self.arguments = {name: value for name, value in record.as_dict().items() if name != "since"}
        self.patience = patience

    def take(self) -> dict[str, Any]:
        arguments, self.patience = {**self.arguments, **self.patience}, {}
        try:
            answer = self._by_program(arguments) or self.action._execute_module(
                module_name="relevo.postgres.operation_lock_holder",
                module_args=arguments,
                task_vars=self.action._task_vars,
            )
        except AnsibleConnectionFailure as error:
            raise _lock_keeper.UnreachableError(
                "The repository host does not answer, so nobody knows who else works on the cluster "
                f"({str(error).rstrip('.')}). Nothing was changed. Start it, then run this again."
            ) from error
        except AnsibleError as error:
            raise RelevoError(str(error)) from error
        if answer.get("failed"):
            details = {name: answer[name] for name in DETAILS if name in answer}
            raise RelevoError(str(answer.get("msg", answer)), **details)
        return {name: answer[name] for name in ("pipe", "started")}

    def _by_program(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of the module's work as a program, which takes half of its time; None where it gives none.

        Then the module takes it: a play that holds the lock already has it still.
        """
        return _node_program.ask(self.action, ENTRY, arguments, self.action._task_vars)

    def beat(self, pipe: str) -> None:
        if self._send(BEAT, pipe) != 0:
            raise _lock_keeper.LockLostError

    def end(self, pipe: str) -> None:
        self._send(END, pipe)

    def _send(self, word: bytes, pipe: str) -> int:
        command = SEND.format(word=word.decode())
        try:
            done = self.action._low_level_execute_command(command, sudoable=False, in_data=f"{pipe}\n".encode())
        except AnsibleConnectionFailure as error:
            raise _lock_keeper.UnreachableError(str(error)) from error
        return int(done["rc"])
