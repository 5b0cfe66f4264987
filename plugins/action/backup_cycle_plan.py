# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask what has to be known before a backup, and decide which backups of the cycle are to be made."""

from __future__ import annotations

import datetime
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import info_spec
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cycle import (
    BY,
    PRIMARY,
    CycleRequest,
    describe,
    parse_days,
    plan,
)
from ansible_collections.relevo.postgres.plugins.plugin_utils import _observer
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


def moment(text: str) -> datetime.datetime:
    """``now`` of ``backup_cycle_info``, with that host's time zone; without it this host's."""
    return datetime.datetime.fromisoformat(text) if text else datetime.datetime.now().astimezone()


class ActionModule(ControllerAction):
    """module_utils/_backup/ask.py asks, on the repository host; module_utils/_repository/cycle.py decides, here."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "ask": {"type": "dict", "options": info_spec()["argument_spec"]},
            "observer": {"type": "str", "default": ""},
            "backups": {"type": "list", "elements": "dict"},
            "days": {"type": "dict", "required": True},
            "second_days": {"type": "dict"},
            "day": {"type": "str", "default": "auto"},
            "force": {"type": "bool", "default": False},
            "only_first": {"type": "bool", "default": False},
            "rest_hours": {"type": "float", "default": 6},
            "primary": {"type": "str"},
            "requested_by": {"type": "str"},
            "cluster": {"type": "str", "default": "main"},
            "running": {"type": "str", "default": ""},
            "repository": {"type": "str", "default": ""},
        },
        "required_one_of": [("ask", "backups")],
        "mutually_exclusive": [("ask", "backups")],
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["ask"] is None:
            return {"changed": False, **decide(options, {"backups": options["backups"]})}
        asked = self._asked(options["ask"], options["observer"])
        known = {"changed": False, **{name: value for name, value in asked.items() if name != "backups"}}
        return known | decide(options, asked) if "backups" in asked else known

    def _asked(self, question: dict[str, Any], observer: str) -> dict[str, Any]:
        elsewhere = _observer.is_another(self, self._task_vars, observer)
        own = question | {"nodes": []} if elsewhere else question
        answer = self.ask("_backup.ask", {"arguments": own}) or self.module("relevo.postgres.backup_cycle_info", own)
        if elsewhere and "backups" in answer:
            answer["primary"] = _observer.primary(self, self._task_vars, observer, question)
        return answer


def decide(options: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The plan; ``asked``: ``backups``, and what else ``backup_cycle_info`` says where it was asked."""
    primary = asked["primary"]["name"] if "primary" in asked else options["primary"] or ""
    # Both, whichever it is about: one that is not a cycle is refused before anything is touched.
    first, second = parse_days(options["days"]), parse_days(options["second_days"] or options["days"])
    notes = {PRIMARY: primary, BY: options["requested_by"]}
    request = CycleRequest(
        options["day"],
        second if asked.get("number") == 2 else first,
        {key: value for key, value in notes.items() if value},
        force=options["force"],
        only_first=options["only_first"],
        rest=datetime.timedelta(hours=options["rest_hours"]),
    )
    backups = asked["backups"]
    decided = plan(backups, request, moment(asked.get("now", "")))
    shown = describe(decided, backups, options["cluster"], primary, options["repository"])
    if options["running"] and not decided.nothing_to_do:
        shown = shown.refused(f"A backup is running ({options['running']}). Run this again when it has ended.")
    return {**decided.as_dict(), "operation_plan": shown.as_dict()}
