# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print text to the user's terminal as it is."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

display = Display()


class ActionModule(ControllerAction):
    """``Display`` hands the text from the worker to the main process; the default callback does not show it again."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "text": {"type": "str", "required": True},
            "verbosity": {"type": "int", "default": 0},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Print ``text``; the result carries it."""
        if options["verbosity"] < 0:
            raise RelevoError("'verbosity' counts the -v on the command line: 0 or more.")
        if options["verbosity"] <= display.verbosity:
            # Never wrapped and without colour, so that it can be copied and piped; set apart from what
            # Ansible prints before it, and ended once, because Ansible opens its next line by itself.
            display.display("\n" + options["text"].strip("\n"))
        return {"changed": False, "text": options["text"]}
