# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print text to the user's terminal as it is."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):
    """Runs on the controller only. ``Display`` hands the text from the worker to the main process."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print ``text``; the result carries it, and the default callback does not show it again."""
        del tmp
        _validation, options = self.validate_argument_spec(
            argument_spec={
                "text": {"type": "str", "required": True},
                "verbosity": {"type": "int", "default": 0},
            }
        )
        result: dict[str, Any] = super().run(task_vars=task_vars)
        result.update(changed=False, text=options["text"])
        if options["verbosity"] < 0:
            raise AnsibleActionFail("'verbosity' counts the -v on the command line: 0 or more.")
        if options["verbosity"] <= display.verbosity:
            # Never wrapped and without colour, so that it can be copied and piped; set apart from what
            # Ansible prints before it, and ended once, because Ansible opens its next line by itself.
            display.display("\n" + options["text"].strip("\n"))
        return result
