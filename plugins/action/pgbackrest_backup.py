# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module pgbackrest_backup on its node, which may go away in the middle of it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import backup_spec
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import primary_of
from ansible_collections.relevo.postgres.plugins.plugin_utils import _observer
from ansible_collections.relevo.postgres.plugins.plugin_utils._program_action import ProgramAction


class ActionModule(ProgramAction):
    """See plugins/modules/pgbackrest_backup.py. A backup is not begun again when its answer is lost."""

    ENTRY = "_backup.make"
    WHAT = "The backup"
    LOST = "pgBackRest goes on to the end of the backup: run this again when it has ended, for what is missing."

    def spec(self) -> dict[str, Any]:
        return backup_spec()

    def on_node(self, arguments: dict[str, Any]) -> dict[str, Any]:
        servers = arguments.get("primary")
        if not servers or not self._asks_another(servers):
            return arguments
        return arguments | {"primary": servers | {"nodes": []}}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._variables = task_vars or {}
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(**self.spec())
        before = options["primary"]
        if not before or result.get("failed"):
            return result
        if self._asks_another(before) and not self._task.check_mode:
            result["primary_now"] = _observer.primary(self, self._variables, before["observer"], before)
        try:
            source = taken_from(result, before)
        except RelevoError as error:
            raise AnsibleActionFail(error.message, result={**error.details, **result}) from error
        return result | {"primary": source, "other_primary": source != before["name"]}

    def _asks_another(self, servers: dict[str, Any]) -> bool:
        return _observer.is_another(self, self._variables, str(servers.get("observer") or ""))


def taken_from(result: dict[str, Any], before: dict[str, Any]) -> str:
    """From which server a backup was taken; a step that was skipped, or is only foreseen, counts for that of before."""
    if "backup" not in result:
        return str(before["name"])
    return primary_of(result["backup"], before, result["primary_now"])
