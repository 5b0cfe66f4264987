# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether machines answer over the connections that the inventory names, asked of all at once.

Ansible's own way, a task for each with ``ignore_unreachable``, asks them one after the other and prints a page for
each that is down, before the play has said what it is about to do.
"""

from __future__ import annotations

import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader

from ansible_collections.relevo.postgres.plugins.plugin_utils import _node_program, _run_connection

DEADLINE = 15.0

T = TypeVar("T")
Ask = Callable[[], str | None]


class LostAnswerError(AnsibleError):
    """A program ended, and what it answered did not arrive: a busy engine loses what one short command in 30 prints."""


def again(ask: Callable[[], T], lost: type[Exception]) -> T:
    """What is answered to what may be asked twice: on a busy machine an answer is lost now and then, as ``lost``."""
    try:
        return ask()
    except lost:
        return ask()


def settled(variables: Mapping[str, Any], context: PlayContext) -> dict[str, Any]:
    """What a machine is entered with, and a program run there, out of its variables: all templates filled in.

    For whoever enters machines in threads, before they are begun. Two threads that fill in templates at the same time,
    as for a password that each looks up, get in each other's way: a plugin is half loaded, and its machine counted as
    one that does not answer. Raises ``AnsibleError``, as for a lookup that fails.
    """
    kind = variables.get("ansible_connection") or constants.DEFAULT_TRANSPORT
    names = ["ansible_connection", "ansible_host", "ansible_python_interpreter", "node_kind", "node_service_manager"]
    connection = connection_loader.get(kind, class_only=True)
    if connection is not None:
        names += constants.config.get_plugin_vars("connection", connection._load_name)
    if _becomes(variables, context):
        names += ["ansible_become", "ansible_become_method"]
        become = become_loader.get(_become_method(variables, context), class_only=True)
        if become is not None:
            names += constants.config.get_plugin_vars("become", become._load_name)
    return {name: variables[name] for name in names if name in variables}


def asker(name: str, variables: Mapping[str, Any], context: PlayContext, *, alone: bool = False) -> Ask:
    """What asks the machine ``name`` over the connection of its variables: None when it answers, otherwise why not.

    ``alone``: over a new one, whatever became of that of this run.
    """

    def ask() -> str | None:
        try:
            code, _output, said = execute(name, own, context, "exit 0", alone=alone)
        except AnsibleError as error:
            return _why(error)
        return None if code == 0 else one_line(said) or f"a command ended with {code}"

    try:
        own = settled(variables, context)
    except AnsibleError as error:
        why_not = _why(error)
        return lambda: why_not
    return ask


def _why(error: AnsibleError) -> str:
    return one_line(error.message if isinstance(error, AnsibleConnectionFailure) else str(error))


def execute(
    name: str,
    variables: Mapping[str, Any],
    context: PlayContext,
    command: str,
    stdin: str | None = None,
    *,
    become: bool = False,
    alone: bool = False,
) -> tuple[int, str, str]:
    """Run a command on a machine; its status, output and errors. Raises ``AnsibleError`` where it cannot be entered.

    ``become``: as the user that the machine's tasks become, where the inventory names one. ``alone``: as ``connect``.
    """
    connection = connect(name, variables, context, alone=alone)
    try:
        if become:
            command = as_become_user(connection, variables, context, command)
        given = {} if stdin is None else {"in_data": stdin.encode()}
        code, output, said = connection.exec_command(command, sudoable=become, **given)
    finally:
        connection.close()
    return code, output.decode(errors="replace"), said.decode(errors="replace")


def connect(name: str, variables: Mapping[str, Any], context: PlayContext, *, alone: bool = False) -> Any:
    """``plugin``, that shares the SSH connection of this run; ``alone``: that has a new one of its own."""
    connection = plugin(name, variables, context)
    _run_connection.use(connection, name, alone=alone)
    return connection


def plugin(name: str, variables: Mapping[str, Any], context: PlayContext) -> Any:
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
    connection.set_options(task_keys={"timeout": own.timeout, "password": own.password}, var_options=options)
    return connection


def run_program(
    name: str,
    variables: Mapping[str, Any],
    context: PlayContext,
    entry: str,
    question: dict[str, Any],
    deadline: float,
) -> dict[str, Any]:
    """The answer of a program (see ``_node_program``) on the machine ``name``, as the user that its tasks become.

    For an action whose task is delegated to another host. ``variables``: ``settled``, where this is called by a thread.
    Raises ``AnsibleError`` when the machine does not answer within ``deadline`` seconds, or not with an answer.
    """
    own = settled(variables, context)
    command = f"{shlex.quote(_node_program.interpreter(own) or 'python3')} -"
    text = _node_program.program(entry, question)
    results: queue.Queue[tuple[int, str, str] | AnsibleError] = queue.Queue()

    def run() -> None:
        try:
            results.put(execute(name, own, context, command, text, become=True))
        except AnsibleError as error:
            results.put(error)
        except Exception as error:
            results.put(AnsibleError(f"asking {name} failed: {error!r}"))
            raise

    # Left behind when its time is up: a process that waits for a dead disk cannot be ended.
    threading.Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=deadline)
    except queue.Empty:
        raise AnsibleError(f"{name} did not answer within {deadline:g} s") from None
    if isinstance(result, AnsibleError):
        raise result
    code, output, said = result
    answer = _node_program.answer_in(output)
    if answer is None:
        words = one_line(said)[-300:] or "it printed nothing"
        raise LostAnswerError(f"a program on {name} ended with status {code} and without an answer: {words}")
    if answer.get("failed"):
        raise AnsibleError(str(answer["msg"]))
    return answer


def as_become_user(connection: Any, variables: Mapping[str, Any], context: PlayContext, command: str) -> str:
    """The command as a task on that host would run it: as the user that it becomes, with the password for that."""
    if not _becomes(variables, context):
        return command
    method = _become_method(variables, context)
    become = become_loader.get(method)
    if become is None:
        raise AnsibleError(f"there is no become plugin {method}")
    names = constants.config.get_plugin_vars("become", become._load_name)
    own = {"become_user": context.become_user, "become_pass": context.become_pass}
    become.set_options(
        task_keys={key: value for key, value in own.items() if value},
        var_options={key: variables[key] for key in names if key in variables},
    )
    connection.set_become_plugin(become)
    return str(become.build_become_command(command, connection._shell))


def _becomes(variables: Mapping[str, Any], context: PlayContext) -> bool:
    wanted = variables.get("ansible_become")
    return bool(context.become if wanted is None else boolean(wanted))


def _become_method(variables: Mapping[str, Any], context: PlayContext) -> str:
    return str(variables.get("ansible_become_method") or context.become_method or "sudo")


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
