# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a restore of tables, or of a database, would do."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import Effect, OperationPlan, refusal
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables import Wanted, moment_of
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_plan import (
    Origin,
    Primary,
    describe_tables,
    question,
)
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


def origin_of(options: dict[str, Any]) -> tuple[OperationPlan, Origin]:
    """The scratch instance to be made or used, and its own plan; ``RelevoError`` where there is none."""
    host, cluster, named = options["host"], options["cluster"], options["scratch"]
    restore = options["restore"]
    if restore.get("operation_plan"):
        plan = restore.get("plan") or {}
        origin = Origin(
            host,
            restore["name"],
            restore["asked"],
            next((one["reached"] for one in options["instances"] if one["name"] == restore["name"]), {}),
            plan.get("sentence", ""),
            False,
            bool(named) or options["keep"],
        )
        return OperationPlan.from_dict(restore["operation_plan"]), origin
    there = {one["name"]: one for one in options["instances"]}
    if named not in there:
        have = ", ".join(there) or "none"
        raise RelevoError(
            f"There is no scratch instance {named} on {host} ({have}), and no target was given to make it. Give one."
        )
    one = there[named]
    if one["state"] != "running":
        raise RelevoError(
            f"The scratch instance {named} is {one['state']}. Run the restore.yml that has made it again, then this."
        )
    base = OperationPlan("restore", cluster, "", "", affects=[Effect(host, f"has the scratch instance {named}")])
    return base, Origin(
        host, named, one["request"], one["reached"], moment_of(one["request"], one["reached"]), True, True
    )


class ActionModule(ControllerAction):
    """On the controller; the primary and the host of the scratch instance have been asked."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "database": {"type": "str", "default": ""},
            "tables": {"type": "list", "elements": "str", "default": []},
            "into": {"type": "str", "default": ""},
            "scratch": {"type": "str", "default": ""},
            "keep": {"type": "bool", "default": False},
            "primary": {"type": "dict", "required": True},
            "restore": {"type": "dict", "default": {}},
            "instances": {"type": "list", "elements": "dict", "default": []},
            "describe": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"changed": False, "question": "", "already": False, "name": "", "made": True}
        try:
            wanted = Wanted.given(options["database"], options["tables"], options["into"])
            base, origin = origin_of(options)
            shown, already = describe_tables(base, wanted, origin, Primary.from_dict(options["primary"]))
            names = [one["name"] for one in options["instances"]]
            answer |= {
                "question": "" if already else question(wanted, options["cluster"]),
                "already": already,
                "name": origin.name,
                "made": not origin.there,
                "remove": not origin.stays and (not already or origin.name in names),
            }
        except RelevoError as error:
            shown = refusal("restore", options["cluster"], error.message)
        if shown.refusals and not options["describe"]:
            raise RelevoError(f"{' '.join(shown.refusals)} Nothing was touched.")
        return answer | {"operation_plan": shown.as_dict(), "refusals": shown.refusals}
