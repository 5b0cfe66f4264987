# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module redis_backup_record on its node."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import record_spec
from ansible_collections.relevo.postgres.plugins.plugin_utils._program_action import ProgramAction


class ActionModule(ProgramAction):
    """See plugins/modules/redis_backup_record.py. What is recorded already is not recorded again."""

    ENTRY = "_backup.record"
    WHAT = "Recording the backups"
    REPEATED = True

    def spec(self) -> dict[str, Any]:
        return record_spec()
