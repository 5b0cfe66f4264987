# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of ``module_utils`` as a program for a node, for a question on which writers wait.

A module would do as well. But Ansible packs it with 80 files, most of them its own, and compiles each of them first,
which takes 0.25 s on the controller; and the node loads them, which takes another 0.1 s. The files of a program are
packed in 0.02 s.
"""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.relevo.postgres.plugins.module_utils._guard_files import closure

#: What comes after it is the answer: a login may greet, and a library may warn.
MARK = "relevo-answer:"
#: Nothing that is loaded is garbage, and to look for some of it takes up to a tenth of the time.
PROGRAM = """
import gc
gc.disable()
import base64, importlib, json, sys, zlib
from importlib.machinery import ModuleSpec
given = json.loads(zlib.decompress(base64.b64decode('{payload}')))
class Sources:
    def find_spec(self, name, path=None, target=None):
        root, _, module = name.partition('.')
        if root != 'relevo_program':
            return None
        folder = module not in given['sources']
        return ModuleSpec(name, self, origin=name, is_package=folder)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        text = given['sources'].get(module.__name__.partition('.')[2], '')
        exec(compile(text, module.__name__, 'exec'), module.__dict__)
sys.meta_path.insert(0, Sources())
program = importlib.import_module('relevo_program.' + given['entry'])
gc.enable()
try:
    answer = program.answer(given['question'])
except Exception as error:
    failure = importlib.import_module('relevo_program._errors').foreseen(error)
    if failure is None:
        raise
    answer = dict(failure.details, failed=True, msg=failure.message)
print('{mark}' + json.dumps(answer))
"""


def program(entry: str, question: dict[str, Any]) -> str:
    """The text of a Python program that calls ``answer(question)`` of the module ``entry`` of ``module_utils``."""
    given = {"sources": closure(entry), "entry": entry, "question": question}
    payload = base64.b64encode(zlib.compress(json.dumps(given).encode(), 1)).decode()
    return PROGRAM.format(payload=payload, mark=MARK)


def interpreter(variables: Mapping[str, Any]) -> str | None:
    """The Python of a host that its variables name; None where it would have to be found."""
    named = str(variables.get("ansible_python_interpreter") or "")
    return None if not named or named.startswith("auto") else named


def host_of(action: ActionBase, variables: Mapping[str, Any]) -> str:
    """Whom an action's task is delegated to, or else whose it is."""
    return str(action._task.delegate_to or variables["inventory_hostname"])


def run(action: ActionBase, entry: str, question: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any] | None:
    """Run the program on the node of an action's task; its ``rc``, ``stdout`` and ``stderr``.

    None where the inventory does not name the node's interpreter, since to find one takes longer than a module.
    """
    if action._task.delegate_to:
        variables = variables["ansible_delegated_vars"][action._task.delegate_to]
    python = interpreter(variables)
    if python is None:
        return None
    text = program(entry, question)
    return action._low_level_execute_command(f"{shlex.quote(python)} -", in_data=text.encode())


def ask(action: ActionBase, entry: str, question: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any] | None:
    """As ``run``, the program's answer alone; None where there is none."""
    done = run(action, entry, question, variables)
    return answer_in(done["stdout"]) if done else None


def answer_in(output: str) -> dict[str, Any] | None:
    """What the program answered; None where it did not get so far."""
    _before, mark, text = output.rpartition(MARK)
    if not mark:
        return None
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
