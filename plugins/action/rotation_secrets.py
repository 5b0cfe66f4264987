# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the folder of secrets to what a step of a rotation wants.

An action: Ansible would replace the passwords in a module's result by one public word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import NewPasswords
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._new_authority import Authorities


class ActionModule(ControllerAction):
    """On the controller."""

    _supports_check_mode = False

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "directory": {"type": "path", "required": True},
            "step": {
                "type": "str",
                "required": True,
                "choices": ["passwords", "certificates", "trust", "sign", "withdraw"],
            },
            "state": {"type": "str", "required": True, "choices": ["made", "put", "finished"]},
            "names": {"type": "list", "elements": "str", "default": []},
        },
        "required_if": [("state", "made", ("names",))],
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        directory, step, state = Path(options["directory"]), options["step"], options["state"]
        if step == "passwords":
            return self._passwords(directory, state, options["names"])
        authorities = Authorities(directory)
        if state == "put" and step != "certificates":
            return {"changed": authorities.put(step)}
        if state == "finished" and step == "withdraw":
            authorities.forget()
            return {"changed": True}
        return {"changed": False}

    def _passwords(self, directory: Path, state: str, names: list[str]) -> dict[str, Any]:
        if state == "made":
            before = NewPasswords.read(directory)
            made = NewPasswords.make(directory, names)
            return {"changed": before is None, "old": made.old, "new": made.new}
        found = NewPasswords.read(directory)
        if found is None:
            raise RelevoError(f"{NewPasswords.file(directory)} is gone. Run rotate.yml -e rotate=passwords again.")
        if state == "put":
            return {"changed": bool(found.put())}
        found.forget()
        return {"changed": True}
