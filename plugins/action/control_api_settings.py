# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work out what the control API and its watcher are told."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.api_settings import api_settings
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.loaded import digest_of
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """module_utils/_cluster/api_settings decides; the variables of all hosts are here."""

    SPEC = {"argument_spec": {"given": {"type": "dict", "required": True}}}  # noqa: RUF012

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables = self._task_vars or {}
        given = options["given"]
        told = asdict(api_settings(variables["groups"], variables["hostvars"], given))
        loaded = digest_of(Path(path) for path in given["loaded"] if path)
        return {"changed": False, **told, "loaded": loaded}
