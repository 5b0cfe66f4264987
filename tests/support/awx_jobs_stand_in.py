# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for AWX with what our backend asks of it: launch, state, events, cancel.

It runs nothing: it plays a recorded job, whose events have the form that AWX's have. Its templates are those of
roles/awx, so that a launch drops, refuses and fills in what AWX would of them.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import awx_stand_in
from awx_data import objects
from awx_rules import answer_problems
from awx_stand_in import TOKEN

__all__ = ["TOKEN", "StandIn", "awx"]
PAGE = 2


def event(counter: int, kind: str, stdout: str = "", **data: Any) -> dict[str, Any]:
    return {"counter": counter, "event": kind, "stdout": stdout, "event_data": data}


REPORT = "relevo.postgres.report"
DONE = [
    event(1, "playbook_on_play_start", "PLAY [Fail over]"),
    event(2, "playbook_on_task_start", task="Plan", name="Plan"),
    event(3, "runner_on_ok", task_action="relevo.postgres.operation_lock", res={"changed": False, "held": True}),
    event(4, "runner_on_ok", "b is primary.", task_action=REPORT, res={"text": "b is primary.", "password": "geheim"}),
    event(5, "playbook_on_stats", "PLAY RECAP"),
]
REFUSED = [
    event(1, "playbook_on_play_start", "PLAY [Fail back]"),
    event(
        2, "runner_on_failed", "fatal", task="Plan", host="localhost", res={"msg": "a is paused. Nothing was changed."}
    ),
]
PLANNED = [event(1, "runner_on_ok", task_action=REPORT, res={"text": "", "data": {"version": 1, "refusals": []}})]
#: What the job of each template plays: how it ends, and its events.
PLAYED = {
    "Relevo failover forced": ("successful", DONE),
    "Relevo failback": ("failed", REFUSED),
    "Relevo restore beside": ("successful", DONE),
    "Relevo restore in place": ("successful", DONE),
    "Relevo backup": ("successful", DONE),
    "our rejoin": ("successful", DONE),
}
OF_A_TEMPLATE = ("name", "playbook", "job_type", "survey_enabled", "ask_variables_on_launch", "ask_job_type_on_launch")


class StandIn(awx_stand_in.StandIn):
    """Has the templates that ``PLAYED`` names, in the organization Databases. ``jobs``: what was launched."""

    def __init__(self) -> None:
        templates = {one["name"]: one for one in objects()["controller_templates"]}
        super().__init__({one["playbook"] for one in templates.values()})
        #: How many questions after a job will be answered with 502, as by a proxy whose AWX restarts.
        self.away = 0
        self.jobs: list[dict[str, Any]] = []
        self.cancelled: list[int] = []
        organization = self.create("organizations", {"name": "Databases"})["id"]
        for name in PLAYED:
            given = templates[name if name in templates else "Relevo rejoin"] | {"name": name}
            fields = {field: given[field] for field in OF_A_TEMPLATE}
            held = self.create("job_templates", {**fields, "organization": organization})
            self.keep_survey(held["id"], given["survey_spec"])
        # As somebody has edited it in AWX: it asks for the cluster and for nothing else.
        backup = self.one("job_templates", "Relevo backup")
        backup["ask_variables_on_launch"] = False
        self.surveys[backup["id"]]["spec"] = self.surveys[backup["id"]]["spec"][:1]

    def answer(
        self, method: str, parts: list[str], query: dict[str, str], data: dict[str, Any]
    ) -> tuple[int, Any] | None:
        if parts[0] == "job_templates" and parts[2:] == ["launch"]:
            return self.launch(parts[1], json.loads(data["extra_vars"]), data.get("job_type", "run"))
        if parts[0] != "jobs":
            return None
        if self.away > 0:
            self.away -= 1
            return 502, {}
        number = int(parts[1])
        if parts[2:] == ["cancel"]:
            self.cancelled.append(number)
            return 202, {}
        if parts[2:] == ["job_events"]:
            return 200, self.events(number, int(query["counter__gt"]))
        return 200, self.state(number)

    def launch(self, name: str, variables: dict[str, Any], job_type: str = "run") -> tuple[int, dict[str, Any]]:
        """``name``: of a template alone, or with its organization behind it."""
        short = name.removesuffix("++Databases")
        if short not in PLAYED:
            return 404, {"detail": "Not found."}
        template = self.one("job_templates", short)
        survey = self.surveys[template["id"]]
        questions = {question["variable"]: question["default"] for question in survey["spec"]}
        answers = {key: value for key, value in variables.items() if key in questions}
        if problems := answer_problems(survey, answers):
            return 400, {"variables_needed_to_start": problems}
        dropped = {} if template["ask_variables_on_launch"] else {
            key: value for key, value in variables.items() if key not in questions
        }  # fmt: skip
        variables = {**questions, **variables}
        planned = variables.get("plan") == "json"
        state, events = PLAYED[short]
        self.jobs.append(
            {
                "template": name,
                "variables": variables,
                "job_type": job_type,
                "ends": "successful" if planned else state,
                "events": PLANNED if planned else events,
                "asked": 0,
            }
        )
        ignored = {"ignored_fields": {"extra_vars": dropped} if dropped else {}}
        return 201, {"job": len(self.jobs), "status": "pending", **ignored}

    def state(self, number: int) -> dict[str, Any]:
        job = self.jobs[number - 1]
        job["asked"] += 1
        ended = job["asked"] > 2
        return {
            "id": number,
            "status": job["ends"] if ended else "running",
            "event_processing_finished": job["asked"] > 3,
        }

    def events(self, number: int, after: int) -> dict[str, Any]:
        job = self.jobs[number - 1]
        # They come while it runs.
        known = job["events"][: job["asked"] * 2]
        rest = [one for one in known if one["counter"] > after]
        return {"count": len(rest), "next": "more" if len(rest) > PAGE else None, "results": rest[:PAGE]}


@contextmanager
def awx(tls: ssl.SSLContext | None = None) -> Iterator[tuple[StandIn, str]]:
    """The server and its address."""
    stand_in = StandIn()
    with awx_stand_in.serving(stand_in, tls) as address:
        yield stand_in, address
