# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the secrets of hosts that have gone from the folder on the controller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import secrets_directory
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import delete_files, files_of, leaving
from ansible_collections.relevo.postgres.plugins.plugin_utils import _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """``_secrets.leaving`` decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "directory": {"type": "path", "required": True},
            "hosts": {"type": "list", "elements": "str", "required": True},
            "everything": {"type": "bool", "default": False},
            "only_containers": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        directory = Path(options["directory"])
        hosts, hostvars = options["hosts"], self._task_vars["hostvars"]
        if options["only_containers"]:
            hosts = [name for name in hosts if _offline_nodes.kind_of(hostvars[name]) == _offline_nodes.DOCKER]
        found = leaving(
            str(directory),
            files_of(directory),
            hosts,
            # A machine that stays may have no key here, as that of the catalog's Redis.
            options["everything"] and len(hosts) == len(options["hosts"]),
            self._names(str(directory)),
        )
        if not self._task.check_mode:
            delete_files(directory, found.delete)
        return {"changed": bool(found.delete), "removed": found.delete, "text": found.text}

    def _names(self, directory: str) -> set[str]:
        """The passwords that the inventory has in this folder."""
        found = {*_names.OWN_ROLES, "redis"}
        for name in self._task_vars["groups"].get("postgres", []):
            variables = self._task_vars["hostvars"][name]
            # As the option was, which is a path.
            if str(Path(os.path.expandvars(secrets_directory(variables))).expanduser()) == directory:
                users = variables.get("postgresql_users") or []
                found |= {user["password_secret"] for user in users if user.get("password_secret")}
        return found
