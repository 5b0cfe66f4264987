# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the cluster's secrets on the controller, or make them once.

An action, since a module cannot do it: Ansible replaces in a module's result each value that the module was given as a
secret, by one and the same public word (``remove_values`` in ``AnsibleModule.exit_json``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._secrets import SecretStore
from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import make_verifier
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """Variables first, then files; see ``SecretStore``."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "given": {"type": "dict", "default": {}, "no_log": True},
            "verifiers": {"type": "list", "elements": "str", "default": []},
            "generate": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        store = SecretStore(Path(options["directory"]), options["given"])
        names = options["names"]
        missing = store.missing(names)
        generated = missing if options["generate"] else []
        if not self._task.check_mode:
            for name in generated:
                store.generate(name)
        known = {name: store.read(name) for name in names}
        return {
            "changed": bool(generated),
            "secrets": known,
            "verifiers": {name: make_verifier(value) for name in options["verifiers"] if (value := known.get(name))},
            "missing": [name for name in missing if name not in generated],
            "generated": generated,
        }
