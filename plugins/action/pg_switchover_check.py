# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a planned hand-over that could not end with working backups."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover_check import (
    RepositoryState,
    SwitchoverRequest,
    refusal,
    reserves_timelines,
    risks,
)
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, archiver_timeout
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """``pgbackrest_info`` asks, on the repository host, to which the task is delegated; ``_handover`` decides, here."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "primary": {"type": "str", "required": True},
            "candidate": {"type": "str", "required": True},
            "timeline": {"type": "int", "required": True},
            "unreachable": {"type": "list", "elements": "str", "default": []},
            "repository": {"type": "str", "required": True},
            "repository_answers": {"type": "bool", "required": True},
            "stanza": {"type": "str", "required": True},
            "force": {"type": "bool", "default": False},
            "operation_plan": {"type": "dict"},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        names = ("primary", "candidate", "timeline", "unreachable", "repository", "force")
        request = SwitchoverRequest(**{name: options[name] for name in names})
        state, away = None, []
        if options["repository_answers"] and not request.force:
            asked = {"stanza": options["stanza"], "timelines": True, "every": True}
            found = self.module("relevo.postgres.pgbackrest_info", asked)
            state = RepositoryState(found["running"], found["newest_timeline"])
            away = [Away(**one) for one in found["away"]]
        why_not = refusal(request, state)
        result = {
            "changed": False,
            "reserve_timelines": reserves_timelines(request, state),
            "archiver_timeout": archiver_timeout(away),
        }
        if options["operation_plan"]:
            plan = OperationPlan.from_dict(options["operation_plan"])
            plan = plan.with_risks(risks(away))
            return result | {"operation_plan": (plan.refused(why_not) if why_not else plan).as_dict()}
        if why_not:
            raise RelevoError(why_not)
        return result
