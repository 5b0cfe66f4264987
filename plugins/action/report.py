# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print text to the user's terminal as it is."""

from __future__ import annotations

import json
from typing import Any

from ansible.utils.display import Display

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._output import speaks_json

display = Display()


class ActionModule(ControllerAction):
    """``Display`` hands the text from the worker to the main process; the default callback does not show it again."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "text": {"type": "str"},
            "data": {"type": "dict"},
            "plan": {"type": "dict"},
            "format": {"type": "str", "choices": ["text", "json"], "default": "text"},
            "verbosity": {"type": "int", "default": 0},
        },
        "required_one_of": [("text", "data", "plan")],
        "mutually_exclusive": [("text", "data", "plan")],
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Print ``text``, or ``data`` as JSON; the result carries it."""
        data, text = options["data"], options["text"]
        if options["plan"]:
            data = options["plan"]
            text = OperationPlan.from_dict(data).text
        if data is not None and (not options["plan"] or options["format"] == "json"):
            text = json.dumps(data, indent=2, ensure_ascii=False)
        if options["verbosity"] < 0:
            raise RelevoError("'verbosity' counts the -v on the command line: 0 or more.")
        if options["verbosity"] <= display.verbosity and not speaks_json():
            # Never wrapped and without colour, so that it can be copied and piped; set apart from what
            # Ansible prints before it, and ended once, because Ansible opens its next line by itself.
            display.display("\n" + text.strip("\n"))
        return {"changed": False, "text": text} | ({} if data is None else {"data": data})
