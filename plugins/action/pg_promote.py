# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module pg_promote on its node, which may go away in the middle of it."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._handover.promote_arguments import spec
from ansible_collections.relevo.postgres.plugins.plugin_utils._program_action import ProgramAction


class ActionModule(ProgramAction):
    """See plugins/modules/pg_promote.py. Writers wait, so it runs as a program where that is possible.

    It is not begun again here: it may have come far.
    """

    ENTRY = "_handover.promote"
    WHAT = "The promotion"
    # In an emergency it has been open since this machine was asked whether it answers.
    SHARES_CONNECTION = True

    def spec(self) -> dict[str, Any]:
        return {"argument_spec": spec()}
