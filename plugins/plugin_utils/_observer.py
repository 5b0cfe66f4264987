# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is primary, where another host than the one of the task is to say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _node_program

#: Seconds beside those that the servers may take to answer.
ENTER = 15.0


def is_another(action: ActionBase, task_vars: Mapping[str, Any], observer: str) -> bool:
    """Whether ``observer`` names another host than the one that the task runs on."""
    return observer not in ("", _node_program.host_of(action, task_vars))


def primary(
    action: ActionBase, task_vars: Mapping[str, Any], observer: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The one primary, as ``module_utils/_backup/primary.py`` shows it; ``given``: how the servers are asked."""
    question = {name: given[name] for name in ("nodes", "timeout", "passfile", "ca_file", "unreachable")}
    variables, deadline = task_vars["hostvars"][observer], given["timeout"] + ENTER
    try:
        return _machines.run_program(observer, variables, action._play_context, "_backup.primary", question, deadline)
    except AnsibleError as error:
        raise AnsibleActionFail(str(error)) from error
