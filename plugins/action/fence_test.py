# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the interface that would fence each machine for its state, and look at the fence command without running it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._nodes import fence_test
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import run_for
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """On the controller, which would fence."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "kinds": {"type": "dict", "required": True},
            "answering": {"type": "list", "elements": "str", "required": True},
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "check_command": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 60},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        kinds, command = options["kinds"], options["check_command"]
        commands = fence_test.command_findings(options["fence_command"], command)
        asked = {}
        if not commands[-1].problem:
            machines = [name for name, kind in kinds.items() if kind != "docker"]
            asked = {name: fence_test.Asked(*run_for(name, command, options["timeout"])) for name in machines}
        found = fence_test.findings(kinds, options["answering"], commands, asked)
        return {
            "changed": False,
            "text": "\n".join(finding.line for finding in found),
            "problems": [finding.line.removeprefix("! ") for finding in found if finding.problem],
            "findings": [asdict(finding) for finding in found],
        }
