# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether a named restore point can be made."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._restore.points import describe_point
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """On the controller; ``pgbackrest_info`` has asked the repository."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "name": {"type": "str", "default": ""},
            "cluster": {"type": "str", "required": True},
            "primary": {"type": "str", "required": True},
            "repository": {"type": "str", "required": True},
            "backups": {"type": "list", "elements": "dict", "default": []},
            "describe": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        backups = options["backups"]
        plan = describe_point(options["name"], options["cluster"], options["primary"], options["repository"], backups)
        if plan.refusals and not options["describe"]:
            raise RelevoError(f"{' '.join(plan.refusals)} Nothing was touched.")
        label = "" if plan.refusals else backups[-1]["label"]
        return {"changed": False, "label": label, "operation_plan": plan.as_dict()}
